"""Fixtures for every test: what it may use, and what it must not leave behind."""

import inspect
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

from iiif_server.telemetry.logs import ACCESS_LOGGER, LOGGER
from iiif_server.testing.blocking import forbid_blocking
from iiif_server.testing.leaks import Resources, tasks_left_behind
from tests.support.paths import SHARED_IMAGES
from tests.support.server import ServerFactory, server_factory

# Examples may take long on a busy machine; what matters is that they hold.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

MAY_BLOCK = [
    # Before the first request nobody waits for the loop.
    ("iiif_server/app.py", {"create_app", "build_app"}),
    ("iiif_server/workshop.py", {"read_config"}),
    ("aiohttp/web_urldispatcher.py", {"add_static"}),
]

NO_CERTIFICATES = ("SSL_CERT_FILE", os.devnull)

FACTORIES = pytest.StashKey[list[ServerFactory]]()


def pytest_configure(config: pytest.Config) -> None:
    """Say what to do where the kit's fixtures are not registered, instead of missing them in every test."""
    if not config.pluginmanager.has_plugin("iiif_server"):
        raise pytest.UsageError("iiif-server is not installed as it is here: pip install --editable .")
    # aiohttp reads all certificates that the system trusts where it is imported, a tenth of a server's start.
    # No test speaks TLS to anybody whose certificate it does not name.
    os.environ.setdefault(*NO_CERTIFICATES)


def is_async(function: object) -> bool:
    """Tell whether a test runs on an event loop."""
    while hasattr(function, "hypothesis"):
        function = function.hypothesis.inner_test
    return inspect.iscoroutinefunction(function)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open file."""
    before = Resources.now()
    yield
    if found := before.left_behind():
        pytest.fail("the test left behind: " + "; ".join(found))


@pytest.fixture(scope="module", autouse=True)
def levels_of_the_module() -> Iterator[None]:
    """Leave the levels of our loggers as they were: applications set them, also one for a whole module."""
    with kept_levels():
        yield


@pytest.fixture(autouse=True)
def levels_of_the_test() -> Iterator[None]:
    """The same for one test."""
    with kept_levels():
        yield


@contextmanager
def kept_levels() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (LOGGER, ACCESS_LOGGER)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Fail an asynchronous test that leaves a running task."""
    yield
    if found := await tasks_left_behind():
        pytest.fail("the test left behind: " + "; ".join(found))


@pytest.fixture(autouse=True)
def loop_never_blocks(
    request: pytest.FixtureRequest, nothing_left_behind: None
) -> Iterator[BlockBuster | None]:
    """Fail an asynchronous test in which our code blocks the event loop."""
    if not is_async(getattr(request, "function", None)):
        yield None
        return
    request.getfixturevalue("no_task_left_behind")
    if request.node.get_closest_marker("e2e"):  # the server has a loop of its own, in another process
        yield None
        return
    with forbid_blocking(["iiif_server"], besides=MAY_BLOCK) as blockbuster:
        yield blockbuster


@pytest.fixture(scope="session")
def shared_images() -> Path:
    """The collection of real test images beside the repository."""
    if not SHARED_IMAGES.is_dir():
        pytest.skip("the shared test images (../shared/images beside the repository) are not here")
    return SHARED_IMAGES


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerFactory]:
    """Start real servers; what they printed is shown if the test fails."""
    with server_factory(tmp_path / "servers") as factory:
        request.config.stash.setdefault(FACTORIES, []).append(factory)
        yield factory
        request.config.stash[FACTORIES].remove(factory)


@pytest.fixture(scope="module")
def module_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFactory]:
    """The same for a server that all tests of a module share."""
    with server_factory(tmp_path_factory.mktemp("servers")) as factory:
        request.config.stash.setdefault(FACTORIES, []).append(factory)
        yield factory
        request.config.stash[FACTORIES].remove(factory)


@pytest.fixture(scope="session")
def session_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFactory]:
    """The same for servers that the tests of several modules share."""
    with server_factory(tmp_path_factory.mktemp("servers")) as factory:
        request.config.stash.setdefault(FACTORIES, []).append(factory)
        yield factory
        request.config.stash[FACTORIES].remove(factory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add what servers printed to the report of a test that failed."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed:
        for factory in item.config.stash.get(FACTORIES, []):
            for server in factory.servers:
                report.sections.append((f"output of server {server.pid}", server.output()[-8000:]))
    return report  # type: ignore[return-value]
