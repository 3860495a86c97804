"""Servers as users start them: by `iiif-server serve --config`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.raw import RawClient
from tests.chaos.site import Site, make_site
from tests.support.server import ServerFactory


@pytest.fixture(scope="session")
def shared_site(session_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A server that has to outlive everything that all tests do to it."""
    site = make_site(tmp_path_factory.mktemp("chaos") / "site")
    site.start(session_server)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose server is not started yet."""
    return make_site(tmp_path / "site")


@pytest.fixture
def client(shared_site: Site) -> Iterator[RawClient]:
    """A client of the shared server."""
    with RawClient(shared_site.server.port) as client:
        yield client
