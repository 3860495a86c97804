"""Sources that are replaced, deleted or half there: what is served is what is there."""

import os
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.chaos.raw import RawClient
from tests.chaos.site import Site, make_site
from tests.support.server import ServerFactory

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

TARGET = "/files:changing.png/full/max/0/default.png"
SECONDS = 10


def flat(level: int) -> bytes:
    """A picture all of one gray; all have as many bytes."""
    out = BytesIO()
    Image.new("L", (300, 200), level).save(out, "PNG", compress_level=0)
    return out.getvalue()


def level_of(body: bytes) -> int:
    """The gray of a picture that is all of one."""
    with Image.open(BytesIO(body)) as image:
        lowest, highest = image.convert("L").getextrema()
    assert lowest == highest
    return int(lowest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def changing(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A server that asks its profile as seldom as it does by default."""
    site = make_site(tmp_path_factory.mktemp("changing") / "site")
    site.configure(image_pool_size="1")
    site.start(module_server)
    return site


def seen(client: RawClient, wanted: int | None) -> str:
    """Wait for another level, or for there to be nothing; the ETag."""
    deadline = time.monotonic() + SECONDS
    while True:
        answer = client.get(TARGET)
        assert answer.status in {200, 404}
        if wanted == (level_of(answer.body) if answer.status == 200 else None):
            return answer.headers.get("ETag", "")
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("in_place", [True, False])
def test_replaced_deleted_and_back(changing: Site, *, in_place: bool) -> None:
    """Within ten seconds, with the time and size of the file as they were."""
    path = changing.images / "changing.png"
    path.write_bytes(flat(1))
    stamp = path.stat()
    with RawClient(changing.server.port) as client:
        tags = [seen(client, 1)]
        for level in (2, 3):
            target = path if in_place else path.with_name("other")
            target.write_bytes(flat(level))
            os.utime(target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            target.replace(path)
            tags.append(seen(client, level))
        path.unlink()
        seen(client, None)
        path.write_bytes(flat(4))
        tags.append(seen(client, 4))
    assert len(set(tags)) == 4


def test_half_written_sources_leave_nothing_wrong(changing: Site) -> None:
    """While a file is written again and again in pieces, an answer is whole or an error; then it is right."""
    path, port = changing.images / "changing.png", changing.server.port
    stop = threading.Event()

    def write_on(path: Path) -> None:
        level = 10
        while not stop.is_set():
            level = 10 + (level + 1) % 200
            data = flat(level)
            with path.open("wb", buffering=0) as file:
                for start in range(0, len(data), 9000):
                    file.write(data[start : start + 9000])
                    time.sleep(0.001)

    writer = threading.Thread(target=write_on, args=(path,))
    writer.start()
    statuses = set()
    try:
        with RawClient(port) as client:
            for number in range(150):
                statuses.add(client.get(f"/files:changing.png/full/{100 + number % 5},/0/default.png").status)
    finally:
        stop.set()
        writer.join()
    path.write_bytes(flat(250))

    assert statuses <= {200, 404, 422, 503}
    with RawClient(port) as client:
        seen(client, 250)
        for width in range(100, 105):
            answer = client.get(f"/files:changing.png/full/{width},/0/default.png")
            assert level_of(answer.body) == 250
    assert "Traceback" not in changing.server.output()
