"""Answers that are given again: the same as at first, in their turn, and no longer than they are right."""

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iiif_server.telemetry.metrics import Metrics
from iiif_server.web.heads import Wish
from iiif_server.web.observe import Observer
from iiif_server.web.ready import ReadyAnswers
from iiif_server.web.urls import PublicUrls
from tests.support.inside import Listening
from tests.support.pictures import drawn_picture
from tests.support.pyramids import KINDS, write_pyramid
from tests.support.server import ServerFactory, ServerProcess
from tests.web.conftest import Client

TILE = "/iiif/3/photo.jpg/0,0,256,256/256,256/0/default.jpg"
SMALLER = "/iiif/3/photo.jpg/full/100,/0/default.png"
INFO = "/iiif/3/photo.jpg/info.json"
LINE = b"GET /a HTTP/1.1\r\n"


class Talk:
    """A connection that stays open."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.stream = connection.makefile("rb")

    def send(self, *paths: str, **headers: str) -> None:
        fields = {"Host": "here", **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.connection.sendall("".join(f"GET {path} HTTP/1.1\r\n{head}\r\n" for path in paths).encode())

    def receive(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self.stream.readline().split()[1])
        headers = {}
        while (line := self.stream.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name] = value
        return status, headers, self.stream.read(int(headers.get("Content-Length", 0)))

    def ask(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        self.send(path, **headers)
        return self.receive()


@contextmanager
def talking(server: Listening) -> Iterator[Talk]:
    assert server.port is not None
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        talk = Talk(connection)
        with talk.stream:
            yield talk


def configured(server: ServerFactory, images: Path, scratch: Path, settings: str) -> ServerProcess:
    config = scratch / "config.yaml"
    config.write_text(
        f"cache_path: {scratch / 'cache'}\ndefault_profile: images\n{settings}\n"
        f"profiles:\n  images: {{type: disk, path: {images}, rights: http://example.org/}}\n"
    )
    return server.serve("--config", str(config))


def lines_of(server: ServerProcess, path: str) -> list[str]:
    """The lines about a path in the log of a server; all of them once it has ended."""
    return [line for line in server.output().splitlines() if f'"GET {path}"' in line]


@pytest.mark.parametrize(
    "path", [TILE, SMALLER, INFO, "/photo.jpg/thumbnail", "/photo.jpg/full/max/0/gray.jpg"]
)
def test_an_answer_is_the_same_again(client: Client, path: str) -> None:
    """But for its time and its number."""
    with talking(client.server) as talk:
        answers = [talk.ask(path, User_Agent=f"browser {number}") for number in range(4)]
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    ids = {headers.pop("X-Request-ID") for _, headers, _ in answers}
    assert len(ids) == 4
    for _, headers, _ in answers:
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers.pop("Date"))
    assert answers[0][1] == answers[1][1] == answers[2][1] == answers[3][1]
    assert "Access-Control-Allow-Origin" in answers[0][1]


def test_it_is_counted_and_logged_like_all_others(
    server: ServerFactory, images: Path, tmp_path: Path
) -> None:
    process = configured(server, images, tmp_path, "access_log: true")
    with talking(process) as talk:
        for _ in range(5):
            headers = talk.ask(TILE)[1]
        metrics = talk.ask("/metrics")[2].decode()
    counted = 'iiif_requests_total{kind="image",method="GET",profile="images",status="200"}'
    counted = next(
        line for line in metrics.splitlines() if line.startswith('iiif_requests_total{kind="image"')
    )
    assert counted.endswith(" 5.0")
    assert 'iiif_images_total{tier="memory"} 4.0' in metrics
    process.terminate()
    lines = lines_of(process, TILE)
    assert len(lines) == 5
    assert "memory" in lines[-1]
    assert headers["X-Request-ID"] in lines[-1]


@pytest.mark.parametrize("version", ["/iiif/3", "/iiif/2", ""])
def test_a_stored_tile_that_nobody_asked_for_is_answered_like_any_other(
    server: ServerFactory, tmp_path: Path, version: str
) -> None:
    """At once, from when its file is open; the framework answers those that want something else besides."""
    own = tmp_path / "own"
    own.mkdir()
    write_pyramid(own / "a b.tif", drawn_picture(700, 500), KINDS[0], 128)
    process = configured(server, own, tmp_path, "access_log: true")
    tiles = [
        f"{version}/a%20b.tif/{x},{y},128,128/128,128/0/default.jpg" for x in (0, 128, 256) for y in (0, 128)
    ]
    with talking(process) as talk:
        talk.ask(tiles[0])
        known = [talk.ask(tile) for tile in tiles]
        others = [talk.ask(tile, X_Unknown="1") for tile in tiles]
        assert talk.ask(f"{version}/a%20b.tif/0,0,128/max/0/default.jpg")[0] == 400
        assert talk.ask(f"{version}/none.tif/0,0,128,128/max/0/default.jpg")[0] == 404
        assert talk.ask(tiles[1], Host="not a host")[0] == 400
        metrics = talk.ask("/metrics")[2].decode()
    for ours, theirs in zip(known, others, strict=True):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2])
        for headers in (ours[1], theirs[1]):
            del headers["Date"], headers["X-Request-ID"]
        assert ours[1] == theirs[1]
    assert len({body for _, _, body in known}) == len(tiles)
    assert f'iiif_images_total{{tier="source"}} {1 + 2 * len(tiles)}.0' in metrics
    process.terminate()
    assert [len(lines_of(process, tile)) for tile in tiles] == [3, 3, 2, 2, 2, 2]


def test_what_depends_on_more_is_answered_by_that(client: Client) -> None:
    with talking(client.server) as talk:
        first = talk.ask(TILE)[1]
        talk.ask(TILE)
        assert talk.ask(TILE, If_None_Match=first["Etag"])[0] == 304
        status, _, part = talk.ask(TILE, Range="bytes=0-9")
        assert (status, len(part)) == (206, 10)
        assert talk.ask(TILE, If_Match='"other"')[0] == 412
        assert "attachment" in talk.ask(f"{TILE}?download")[1]["Content-Disposition"]
        assert talk.ask(TILE)[0] == 200


def test_hosts_types_and_codings_are_told_apart(client: Client) -> None:
    with talking(client.server) as talk:
        for _ in range(2):
            for host in ("one.example", "two.example:8000"):
                assert json.loads(talk.ask(INFO, Host=host)[2])["id"].startswith(f"http://{host}/iiif/3/")
                assert f"<http://{host}/iiif/3/" in talk.ask(TILE, Host=host)[1]["Link"]
            for accept in ("application/json", "application/ld+json"):
                assert talk.ask(INFO, Accept=accept)[1]["Content-Type"].startswith(accept)
            for coding in ("gzip", "deflate"):
                assert talk.ask(INFO, Accept_Encoding=coding)[1]["Content-Encoding"] == coding
            assert talk.ask(INFO, Host="not a host")[0] == 400


def test_answers_come_in_the_order_of_the_questions(client: Client) -> None:
    """Ready ones and others, sent at once or one after the other without waiting."""
    paths = [TILE, SMALLER, INFO]
    with talking(client.server) as talk:
        bodies = [talk.ask(path)[2] for path in paths]
        new = iter(range(1000))
        for together in (False, True):
            for _ in range(10):
                wanted = [
                    *paths,
                    f"/iiif/3/photo.jpg/{next(new)},0,50,50/max/0/default.jpg",
                    *reversed(paths),
                ]
                if together:
                    talk.send(*wanted)
                else:
                    for path in wanted:
                        talk.send(path)
                found = [talk.receive()[2] for _ in wanted]
                assert found[:3] == bodies
                assert found[4:] == bodies[::-1]


def test_a_head_that_comes_in_pieces(client: Client) -> None:
    with talking(client.server) as talk:
        body = talk.ask(TILE)[2]
        for _ in range(2):
            talk.connection.sendall(f"GET {TILE} HTTP/1.1\r\nHo".encode())
            time.sleep(0.05)
            talk.connection.sendall(b"st: here\r\n\r\n")
            assert talk.receive()[2] == body


def test_what_is_on_the_disk_is_answered_without_the_framework_and_the_same(
    server: ServerFactory, images: Path, tmp_path: Path
) -> None:
    """Once the image is known. Who wants more besides is answered by the framework."""
    paths = [TILE, SMALLER, "/photo.jpg/full/max/0/gray.jpg"]
    first = configured(server, images, tmp_path, "access_log: true")
    with talking(first) as talk:
        made = [talk.ask(path)[2] for path in paths]
    first.terminate()
    process = configured(server, images, tmp_path, "access_log: true")
    with talking(process) as talk:
        talk.ask(INFO)
        fetched = [talk.ask(path) for path in paths]
        again = [talk.ask(path) for path in paths]
        others = [talk.ask(path, X_Unknown="1") for path in paths]
        assert talk.ask(TILE, Host="not a host")[0] == 400
        metrics = talk.ask("/metrics")[2].decode()
    for of_disk, of_memory, of_framework in zip(fetched, again, others, strict=True):
        for _, headers, _ in (of_disk, of_memory, of_framework):
            del headers["Date"], headers["X-Request-ID"]
        assert of_disk == of_memory == of_framework
    assert [body for _, _, body in fetched] == made
    assert 'iiif_images_total{tier="disk"} 3.0' in metrics
    assert 'iiif_images_total{tier="memory"} 6.0' in metrics
    assert 'iiif_images_total{tier="worker"}' not in metrics
    process.terminate()
    assert [line.split()[-1] for line in lines_of(process, SMALLER)] == ["disk", "memory", "memory"]


def test_what_has_to_be_made_is_answered_without_the_framework_and_the_same(
    server: ServerFactory, images: Path, tmp_path: Path
) -> None:
    """Once the image is known; what can't be made as well."""
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(images / "photo.jpg", own)
    content = bytearray((images / "with space.png").read_bytes())
    content[len(content) // 2] ^= 255
    (own / "damaged.png").write_bytes(content)
    paths = [
        TILE,
        SMALLER,
        "/damaged.png/0,10,40,40/max/0/default.jpg",
        "/photo.jpg/9000,0,5,5/max/0/gray.jpg",
    ]
    answers = []
    for number, headers in enumerate(({}, {"X_Unknown": "1"})):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        process = configured(server, own, scratch, "access_log: true")
        with talking(process) as talk:
            for name in ("photo.jpg", "damaged.png"):
                assert talk.ask(f"/{name}/info.json")[0] == 200
            answers.append([talk.ask(path, **headers) for path in paths])
        process.terminate()
        assert lines_of(process, TILE)[0].split()[-1] == "worker"
        assert len([line for line in process.output().splitlines() if "/damaged.png/0,10" in line]) == 2
    for of_doorway, of_framework in zip(*answers, strict=True):
        for _, headers, _ in (of_doorway, of_framework):
            del headers["Date"], headers["X-Request-ID"]
        assert of_doorway == of_framework
    assert [status for status, _, _ in answers[0]] == [200, 200, 422, 400]


def test_a_changed_source_is_answered_anew(server: ServerFactory, images: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(images / "photo.jpg", own)
    process = server.directory(own)
    with talking(process) as talk:
        (before,) = {talk.ask(SMALLER)[2] for _ in range(3)}
        shutil.copy(images / "gray.png", own / "new")
        (own / "new").rename(own / "photo.jpg")
        time.sleep(1.1)  # as long as it is not looked at
        after = [talk.ask(SMALLER)[2] for _ in range(3)]
        assert before not in after
        assert len(set(after)) == 1
        (own / "photo.jpg").unlink()
        time.sleep(1.1)
        assert [talk.ask(SMALLER)[0] for _ in range(2)] == [404, 404]


def test_what_is_not_in_memory_is_answered_all_the_same(
    server: ServerFactory, images: Path, tmp_path: Path
) -> None:
    with talking(configured(server, images, tmp_path, "memory_cache_size: 0")) as talk:
        assert len({talk.ask(TILE)[2] for _ in range(4)}) == 1


def test_a_proxys_word_is_heard(server: ServerFactory, images: Path, tmp_path: Path) -> None:
    with talking(configured(server, images, tmp_path, "trusted_proxies: [127.0.0.1]")) as talk:
        for scheme in ("http", "https", "http"):
            document = json.loads(talk.ask(INFO, X_Forwarded_Proto=scheme)[2])
            assert document["id"].startswith(f"{scheme}://")
        assert talk.ask(INFO, X_Request_ID="mine")[1]["X-Request-ID"] == "mine"


def test_what_fails_unforeseen_is_left_to_the_framework(caplog: pytest.LogCaptureFixture) -> None:
    observer = Observer(Metrics(), PublicUrls(), frozenset(), None, access_log=False, server_timing=False)

    def fail(_: Wish) -> None:
        raise RuntimeError("a mistake")

    answers = ReadyAnswers(observer, fail)
    assert answers.find(Wish(b"/a", b"a", None, None), "192.0.2.1") is None
    assert caplog.messages == ["a ready answer could not be made"]
