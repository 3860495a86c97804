"""The profile type ``hello``: images that the configuration names one by one."""

from pathlib import Path

from pydantic import Field

from iiif_server.api import FileProfile, ProfileOptions, ProfileType, hookimpl


class HelloOptions(ProfileOptions):
    """The keys of a ``hello`` profile in the configuration, besides those of every profile."""

    images: dict[str, Path] = Field(
        description="The file of each image, by the image's name.",
        examples=[{"greeting": "pictures/greeting.png"}],
    )


class HelloProfile(FileProfile[HelloOptions]):
    """Finds an image's file by its name; all else is common to profiles whose images are files."""

    def find(self, name: str) -> Path | None:
        """The image's file; ``None`` if there is no image of this name."""
        return self.options.images.get(name)


@hookimpl
def iiif_register_profiles() -> list[ProfileType]:
    """Tell the server of the profile type."""
    return [ProfileType("hello", HelloOptions, HelloProfile)]
