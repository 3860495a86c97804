"""Servers with the limits that the specifications' examples assume; one of each serves the whole suite."""

from pathlib import Path

import pytest

from tests.conformance.pictures import store_collection
from tests.conformance.service import Images, Service
from tests.support.server import ServerFactory, serve_command
from tests.web.conftest import Client

RIGHTS = {
    "files": "http://creativecommons.org/licenses/by/4.0/",
    "statements": "http://rightsstatements.org/vocab/InC-EDU/1.0/",
}
"""The profiles of a server with the default limit, which few answers come near, by the rights they state."""

LIMITED = {
    # No limit, and therefore no upscaling.
    "boundless": "",
    # Of the examples of max and of ^max.
    "max_width_200": "max_width: 200",
    "max_width_360": "max_width: 360",
    # The height is limited more than the width.
    "max_height_100": "max_width: 240, max_height: 100",
    # Less than half of the example's area.
    "max_area_24000": "max_area: 24000",
}
"""The profiles of a server without a limit, by what limits them."""


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("collection")
    store_collection(directory)
    return directory


@pytest.fixture(scope="session")
def images(
    session_server: ServerFactory, collection: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Client]:
    """The servers, by their profiles, all of which serve the same images."""
    entry = f"type: disk, path: '{collection}', rights"
    plain = {name: f"{entry}: '{rights}'" for name, rights in RIGHTS.items()}
    limited = {name: f"{plain['files']}, {limits}" for name, limits in LIMITED.items()}
    clients: dict[str, Client] = {}
    for top, profiles in (("", plain), ("max_area: null", limited)):
        config = tmp_path_factory.mktemp("site") / "config.yaml"
        config.write_text(
            f"cache_path: {config.parent / 'cache'}\nmin_sizes_size: 50\n{top}\nprofiles:\n"
            + "".join(f"  {name}: {{{options}}}\n" for name, options in profiles.items())
        )
        client = Client(session_server.command(serve_command("--config", str(config))))
        clients |= dict.fromkeys(profiles, client)
    return clients


@pytest.fixture
def image(images: dict[str, Client], version: int) -> Images:
    """Any image of the collection in any of the profiles."""
    return Images(images, version)


@pytest.fixture
def example(image: Images) -> Service:
    """The image of 300 by 200 pixels that the examples are about."""
    return image()


@pytest.fixture
def large(image: Images) -> Service:
    """An image of several tiles, with odd sides."""
    return image("large.png")


@pytest.fixture(params=["files", *LIMITED])
def site(request: pytest.FixtureRequest) -> str:
    """Each profile whose limits are others."""
    name: str = request.param
    return name
