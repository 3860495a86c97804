"""A real server on a directory of made images, and raw HTTP to talk to it."""

import http.client
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from iiif_server.testing import draw_image
from iiif_server.testing.profiles import ProfileSetup
from tests.support.inside import Listening
from tests.support.pictures import drawn_picture, save_turned
from tests.support.server import ServerFactory
from tests.support.streaming import FAILURES, STREAMING


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Sends paths as they are: no library in between normalises them."""

    def __init__(self, server: Listening) -> None:
        self.server = server

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        assert self.server.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            skip_host = bool(headers and "Host" in headers)
            connection.putrequest(method, path, skip_host=skip_host, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: bytes | str, content_type: str, **headers: str) -> Answer:
        assert self.server.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, {"Content-Type": content_type, **fields})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        """Send bytes and read until the server closes."""
        assert self.server.port is not None
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    picture = drawn_picture(700, 500)
    picture.save(root / "photo.jpg", quality=90)
    (root / "a" / "b").mkdir(parents=True)
    for name in (
        "a/b/deep.png",
        "with space.png",
        "été ☃.png",
        "one:two.png",
        "100%.png",
        "q?#[]@+&=.png",
        "{x}.png",
    ):
        picture.resize((70, 50)).save(root / name)
    save_turned(picture, root / "turned.jpg", 6)
    Image.new("L", (300, 300), 77).save(root / "gray.png")
    (root / "broken.jpg").write_bytes((root / "photo.jpg").read_bytes()[:900])
    pages = [Image.new("RGB", size, (red, 0, 0)) for size, red in (((64, 48), 50), ((128, 48), 200))]
    pages[0].save(root / "pages.tif", save_all=True, append_images=pages[1:])
    tifffile.imwrite(root / "tiled.tif", np.asarray(picture), photometric="rgb", tile=(256, 240))
    (root / "notes.txt").write_text("no image")
    (root / ".hidden.png").write_bytes((root / "gray.png").read_bytes())
    (root.parent / "outside.png").write_bytes((root / "gray.png").read_bytes())
    (root / "leaving.png").symlink_to(root.parent / "outside.png")
    (root / "staying.png").symlink_to(root / "gray.png")
    return root


@pytest.fixture
def streaming(iiif_profile: Callable[..., ProfileSetup], tmp_path: Path) -> ProfileSetup:
    """A profile that lends nothing, with a file for each way to go wrong."""
    folder = tmp_path / "folder"
    folder.mkdir()
    content = draw_image("image", 300, 200).original
    for name in (*FAILURES, "image", "other"):
        (folder / f"{name}.tif").write_bytes(content)
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content[:5000])
    (folder / "notes.txt").write_text("no image " * 1000)
    Image.new("L", (3, 3)).save(folder / "tiny.png")
    return iiif_profile(STREAMING, folder=str(folder), source_check_interval=0)


@pytest.fixture
def large(iiif_profile: Callable[..., ProfileSetup], tmp_path: Path) -> ProfileSetup:
    """A profile with one file of 64 MiB, most of it a hole: more than sockets hold."""
    path = tmp_path / "pictures" / "large.jpg"
    path.parent.mkdir()
    path.write_bytes(draw_image("large", 64, 64, file_format="JPEG").original)
    os.truncate(path, 64 << 20)
    return iiif_profile("disk", path=str(path.parent))


@pytest.fixture(scope="module")
def client(module_server: ServerFactory, images: Path) -> Client:
    return Client(module_server.directory(images))
