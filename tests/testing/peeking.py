"""A profile that reaches past the façade."""

from iiif_server.profiles.base import ImageInfo
from tests.testing.sound import SoundProfile


class PeekingProfile(SoundProfile):
    async def get_info(self, name: str) -> ImageInfo:
        return await super().get_info(name)
