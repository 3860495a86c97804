"""The pytest plugin of the kit: fixtures for everybody who has iiif-server installed.

It is loaded in every run of pytest, also in those of people who test something else: so it imports nothing of
the server but inside its fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from iiif_server.api import ProfileType
    from iiif_server.testing.apps import RunningApp
    from iiif_server.testing.probing import SharedProbe
    from iiif_server.testing.processes import ServerFactory
    from iiif_server.testing.profiles import ProfileSetup

# So that a promise that is broken is shown with the values that broke it.
pytest.register_assert_rewrite("iiif_server.testing.contract")


@pytest.fixture(scope="session")
def iiif_probe() -> Iterator[SharedProbe]:
    """What ``ProfileContext.probe`` is in a server: it has a worker process open the file."""
    from iiif_server.testing.probing import shared_probe

    with shared_probe() as probe:
        yield probe


@pytest.fixture
def iiif_profile(tmp_path: Path, iiif_probe: SharedProbe) -> Callable[..., ProfileSetup]:
    """Set a profile up, as ``iiif_profile("hello", images={"known": "known.tif"})``.

    The first argument is the name of an installed profile type, or a ``ProfileType``; the others are the
    profile's options as a configuration file has them. Relative paths begin at ``tmp_path``. ``rights`` need
    not be given. What comes back makes living profiles: ``async with setup.live() as profile``.
    """
    from iiif_server.testing.profiles import ProfileSetup, installed_type

    def set_up(profile_type: str | ProfileType, /, **options: Any) -> ProfileSetup:
        found = installed_type(profile_type) if isinstance(profile_type, str) else profile_type
        return ProfileSetup(found.name, found, options, tmp_path, iiif_probe)

    return set_up


@pytest.fixture
def iiif_app(iiif_probe: SharedProbe) -> Callable[..., AbstractAsyncContextManager[RunningApp]]:
    """Run the real application with profiles that ``iiif_profile`` has set up.

    ``async with iiif_app(setup) as app: answer = await app.get("/hello:known/info.json")``. Keywords are keys
    of the configuration's top level.
    """
    from iiif_server.config.shares import Share
    from iiif_server.testing.apps import running_app

    return partial(running_app, Share(fork_server=iiif_probe.fork_server))


@pytest.fixture
def iiif_process(tmp_path: Path) -> Iterator[ServerFactory]:
    """Run ``iiif-server serve`` as a process, as ``iiif_process.serve("--config", str(path)).url``.

    What the processes printed is shown if the test fails.
    """
    from iiif_server.testing.processes import server_factory

    with server_factory(tmp_path / "servers") as factory:
        yield factory
    for server in factory.servers:
        print(f"output of server {server.pid}:\n{server.output()[-8000:]}")  # noqa: T201 - pytest shows it
