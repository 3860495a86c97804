"""What a server is started with: a configuration, images, and what lies beside them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess

SECRET = "the-secret-beside-the-images"
"""In every file that no request may reach, and in the names of their folders."""

CONFIG = """\
base_url: null
cache_path: cache
default_profile: files
image_pool_size: 2
max_area: 310000
max_source_bytes: 64 MiB
source_path: sources
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: images
"""


@dataclass
class Site:
    """Images below a directory, and the server of them.

    Attributes:
        root: of all; it holds the configuration.
    """

    root: Path
    options: dict[str, str] = field(default_factory=dict)
    _server: ServerProcess | None = None

    @property
    def images(self) -> Path:
        """The directory that is served."""
        return self.root / "images"

    @property
    def cache(self) -> Path:
        """What the server keeps of the finished images."""
        return self.root / "cache"

    @property
    def server(self) -> ServerProcess:
        """The one that was started."""
        assert self._server is not None
        return self._server

    def configure(self, **options: str) -> None:
        """Set keys of the configuration's top level."""
        self.options |= options

    def start(
        self, factory: ServerFactory, *arguments: str, env: dict[str, str] | None = None
    ) -> ServerProcess:
        """Write the configuration, and serve by it."""
        kept = [line for line in CONFIG.splitlines() if line.partition(":")[0] not in self.options]
        added = [f"{key}: {value}" for key, value in self.options.items()]
        path = self.root / "config.yaml"
        path.write_text("\n".join([*added, *kept, ""]))
        command = ["-m", "iiif_server", "serve", "--config", str(path), "--host", "127.0.0.1", "--port", "0"]
        self._server = factory.command([*command, *arguments], env)
        return self._server


def make_site(root: Path) -> Site:
    """A few images, and beside them what nobody may see: by name or link, hidden, in folders like theirs."""
    site = Site(root)
    site.images.mkdir(parents=True)
    picture = drawn_picture(640, 480)
    for name in ("one.jpg", "two.png", "three.tif"):
        picture.save(site.images / name)
    (site.images / "sub").mkdir()
    Image.new("RGB", (64, 48), (10, 200, 30)).save(site.images / "sub" / "small.png")
    private = [root / SECRET, root / "images-private", root / "imagesecret"]
    for folder in private:
        folder.mkdir()
        (folder / "secret.txt").write_text(SECRET)
        (folder / "secret.png").write_bytes(
            (site.images / "sub" / "small.png").read_bytes() + SECRET.encode()
        )
    (site.images / ".hidden.png").write_bytes((private[0] / "secret.png").read_bytes())
    (site.images / "leaving.png").symlink_to(private[0] / "secret.png")
    (site.images / "relative.png").symlink_to(os.path.join("..", "images-private", "secret.png"))
    (site.images / "folder").symlink_to(private[0])
    (site.images / "dangling.png").symlink_to(root / "nothing.png")
    (site.images / "loop.png").symlink_to("loop.png")
    return site
