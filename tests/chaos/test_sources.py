"""A bad source gets a short error in time, takes little memory, and the next request is served."""

from pathlib import Path

import psutil
import pytest

from tests.chaos import sources
from tests.chaos.raw import Answer, RawClient
from tests.chaos.site import Site, make_site
from tests.support.server import ServerFactory, ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

MOST_MEMORY = int(1.2 * 1024**3)
GOOD_SECONDS = 5.0
IMAGE = "full/!200,200/0/default.jpg"
ERRORS = frozenset({400, 404, 413, 415, 422, 503, 504})
"""503: the source was set aside. A 500 would be a fault of ours."""


@pytest.fixture(scope="module")
def bad_site(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All of them, and a server with its limits as they come, but for the size of files."""
    site = make_site(tmp_path_factory.mktemp("bad") / "site")
    (site.images / "bad").mkdir()
    sources.make_all(site.images / "bad")
    site.configure(image_timeout="5", max_area="100000000")
    site.start(module_server)
    return site


def peaks(server: ServerProcess) -> dict[int, int]:
    """The most memory that each process had at once, in bytes."""
    found = {}
    for process in server.tree():
        status = Path(f"/proc/{process.pid}/status").read_text()
        found[process.pid] = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return found


def original_status(server: ServerProcess, base: str) -> int:
    """What is said of the stored file."""
    with RawClient(server.port) as client:
        return client.get(f"{base}/original").status


def assert_explained(answer: Answer, site: Site) -> None:
    """An error is an error's status and a short text that gives nothing away."""
    assert answer.status in ERRORS
    assert 0 < len(answer.body) < 400
    assert answer.tells_nothing_of(str(site.root))


@pytest.mark.parametrize("name", sources.NAMES)
def test_bad_source(bad_site: Site, name: str) -> None:
    """An answer within ten seconds, and a good image right after it within five."""
    server, base = bad_site.server, f"/files:bad%2F{name}"
    before = sum(process.memory_info().rss for process in server.tree())
    with RawClient(server.port) as client:
        info, image = (client.get(f"{base}/{what}") for what in ("info.json", IMAGE))
    with RawClient(server.port, GOOD_SECONDS) as client:
        width = 100 + sources.NAMES.index(name)
        assert client.get(f"/one.jpg/full/{width},/0/default.jpg").status == 200

    for answer in (info, image):
        if answer.status != 200:
            assert_explained(answer, bad_site)
    assert sum(peaks(server).values()) - before <= MOST_MEMORY
    if name in sources.READABLE:
        assert (info.status, image.status, image.media_type) == (200, 200, "image/jpeg")
    elif name not in sources.UNCERTAIN:
        assert image.status >= 400
    if name in sources.PLACES and "sparse" not in name:
        assert {info.status, image.status, original_status(server, base)} == {404}


def test_the_server_is_as_before(bad_site: Site) -> None:
    """Comes last: all workers are there, nothing unforeseen was logged, and no memory is kept."""
    server = bad_site.server
    assert len(server.workers()) == 2
    assert "Traceback" not in server.output()
    assert psutil.Process(server.pid).memory_info().rss < 500 * 1024**2
