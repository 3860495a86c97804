"""The disk profile keeps what every profile promises."""

import os

import pytest

from iiif_server.testing import ProfileContract, draw_image

NAME = "a shelf/known ü.tif"


class TestDisk(ProfileContract):
    """A directory with subdirectories, and files that are no images."""

    @pytest.fixture
    def root(self, tmp_path):
        directory = tmp_path / "root"
        (directory / "a shelf").mkdir(parents=True)
        (directory / "readme.txt").write_text("no image")
        for name in ("a.png", "b.png", "a shelf/c.png", "z.jpg"):
            image = draw_image(name, 40, 30, file_format="JPEG" if name == "z.jpg" else "PNG")
            (directory / name).write_bytes(image.original)
        return directory

    @pytest.fixture
    def known_image(self, root):
        image = draw_image(NAME)
        (root / NAME).write_bytes(image.original)
        return image

    @pytest.fixture
    def profile(self, iiif_profile, root):
        return iiif_profile("disk", path=root)

    @pytest.fixture
    def modify(self, root):
        def modify():
            """Another image of the same size in the same file, and the time of the old one."""
            before = os.stat(root / NAME)
            image = draw_image(NAME, seed=1)
            (root / NAME).write_bytes(image.original)
            os.utime(root / NAME, ns=(before.st_atime_ns, before.st_mtime_ns))
            return image

        return modify

    @pytest.fixture
    def vanish(self, root):
        return (root / NAME).unlink

    @pytest.fixture
    def damage(self, root):
        return lambda: os.truncate(root / NAME, 100)


class TestDiskWithJpegs(ProfileContract):
    """The directory that it has if none is named; a JPEG, whose tiles are lossless crops."""

    @pytest.fixture
    def known_image(self, tmp_path):
        image = draw_image("known.jpg", file_format="JPEG")
        (tmp_path / "source" / "disk").mkdir(parents=True)
        (tmp_path / "source" / "disk" / "known.jpg").write_bytes(image.original)
        return image

    @pytest.fixture
    def profile(self, iiif_profile):
        return iiif_profile("disk")
