"""Stored tiles over HTTP: copied, validated, in parts, and never of a file that was replaced."""

import time
from pathlib import Path

import pytest

from tests.imaging.helpers import array, picture
from tests.support.pyramids import KINDS, write_pyramid
from tests.support.server import ServerFactory
from tests.web.conftest import Client

pytestmark = pytest.mark.e2e

TILE = "/files:pyramid.tif/128,128,128,128/128,128/0/default"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return write_pyramid(tmp_path / "images" / "pyramid.tif", picture(450, 333), KINDS[0], 128)


@pytest.fixture
def client(server: ServerFactory, path: Path) -> Client:
    return Client(server.directory(path.parent))


def test_a_tile_is_answered_as_any_image_is(client: Client) -> None:
    """With its pixels, validators and ranges."""
    tile = client.get(f"{TILE}.jpg")
    assert (tile.status, tile.headers["Content-Type"]) == (200, "image/jpeg")
    assert (array(tile.body) == array(client.get(f"{TILE}.png").body)).all()
    assert client.get(f"{TILE}.jpg").body == tile.body

    etag = tile.headers["ETag"]
    assert client.get(f"{TILE}.jpg", If_None_Match=etag).status == 304
    part = client.get(f"{TILE}.jpg", Range="bytes=10-19")
    assert (part.status, part.body) == (206, tile.body[10:20])
    head = client.ask("HEAD", f"{TILE}.jpg")
    assert (head.status, head.headers["ETag"], head.body) == (200, etag, b"")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_replaced_file_is_served_anew(client: Client, path: Path, *, in_place: bool) -> None:
    """However it is replaced, and though it was open."""
    before = client.get(f"{TILE}.jpg")
    other = write_pyramid(path.with_name("other.tif"), picture(450, 333, seed=9, rings=40), KINDS[2], 128)
    if in_place:
        path.write_bytes(other.read_bytes())
    else:
        other.replace(path)
    deadline = time.monotonic() + 20
    while (after := client.get(f"{TILE}.jpg")).headers["ETag"] == before.headers["ETag"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (array(after.body) == array(client.get(f"{TILE}.png").body)).all()
    assert abs(array(after.body) - array(before.body)).mean() > 5


def test_damaged_tiles_and_tables_do_no_harm(client: Client, path: Path) -> None:
    """Every answer is an image or an error that says so, and the server goes on."""
    whole = path.read_bytes()
    for start in range(200, len(whole), len(whole) // 12):
        path.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
        for request in (f"{TILE}.jpg", "/files:pyramid.tif/384,0,66,128/66,128/0/default.jpg"):
            answer = client.get(request)
            assert answer.status in {200, 400, 404, 500, 503}
            if answer.status == 200:
                assert answer.body.startswith(b"\xff\xd8")
                assert answer.body.endswith(b"\xff\xd9")
    path.write_bytes(whole)
    deadline = time.monotonic() + 20
    while client.get(f"{TILE}.jpg").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
