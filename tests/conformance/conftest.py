"""Servers with the limits that the specifications' examples assume; one of each serves the whole suite."""

from pathlib import Path

import pytest

from tests.conformance.pictures import store_collection
from tests.conformance.service import Images, Service
from tests.support.server import ServerFactory, serve_command
from tests.web.conftest import Client

SITES = {
    # The default limit, which no answer but a few comes near.
    "plain": "",
    # No limit, and therefore no upscaling.
    "boundless": "max_area: null",
    # Of the examples of max and of ^max.
    "max_width_200": "max_area: null\nmax_width: 200",
    "max_width_360": "max_area: null\nmax_width: 360",
    # The height is limited more than the width.
    "max_height_100": "max_area: null\nmax_width: 240\nmax_height: 100",
    # Less than half of the example's area.
    "max_area_24000": "max_area: 24000",
}
"""The servers: what is configured besides their profiles."""

RIGHTS = {
    "files": "http://creativecommons.org/licenses/by/4.0/",
    "statements": "http://rightsstatements.org/vocab/InC-EDU/1.0/",
}
"""The profiles of every server, by the rights that they state; both serve the same images."""


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("collection")
    store_collection(directory)
    return directory


@pytest.fixture(scope="session")
def sites(
    session_server: ServerFactory, collection: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Client]:
    """Every server; they start at the same time."""
    profiles = "".join(
        f"  {name}: {{type: disk, rights: '{rights}', path: '{collection}'}}\n"
        for name, rights in RIGHTS.items()
    )
    servers = {}
    for name, options in SITES.items():
        config = tmp_path_factory.mktemp("site") / "config.yaml"
        config.write_text(
            f"cache_path: {config.parent / 'cache'}\nimage_pool_size: 1\nmin_sizes_size: 50\n{options}\n"
            f"profiles:\n{profiles}"
        )
        servers[name] = session_server.started(serve_command("--config", str(config)))
    for server in servers.values():
        server.wait_until_ready()
    return {name: Client(server) for name, server in servers.items()}


@pytest.fixture
def image(sites: dict[str, Client], version: int) -> Images:
    """Any image of the collection on any of the servers."""
    return Images(sites, version)


@pytest.fixture
def example(image: Images) -> Service:
    """The image of 300 by 200 pixels that the examples are about."""
    return image()


@pytest.fixture
def large(image: Images) -> Service:
    """An image of several tiles, with odd sides."""
    return image("large.png")


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    """The name of each of the servers."""
    name: str = request.param
    return name
