"""The disk profile by itself: names, versions, listing, originals."""

import logging
import os

import pytest

from iiif_server.api import ImageNotFound, ListsNames, ProfileContext, SourceProperties
from iiif_server.imaging.readers.registry import READERS
from iiif_server.profiles.disk import DiskOptions, DiskProfile


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "root"
    (directory / "sub" / "deeper").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "sub/c.tif", "sub/deeper/d.jp2", "sub.jpg", "readme.txt", ".hidden.jpg"):
        (directory / name).write_bytes(name.encode())
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    (tmp_path / "root-look-alike.jpg").write_bytes(b"beside")
    return directory


@pytest.fixture
def make(root, tmp_path):
    async def probe(path, version, page=1):
        return SourceProperties(300, 200, "image/jpeg", has_color=True, resolution=254.0)

    def make(**options):
        context = ProfileContext("files", tmp_path / "s", tmp_path / "c", probe, logging.getLogger("test"))
        return DiskProfile(context, DiskOptions(rights="http://example.org/rights", path=root, **options))

    return make


async def test_what_is_known_of_an_image(make, root):
    info = await make().get_info("sub/c.tif")

    assert (info.name, info.size, info.media_type) == ("sub/c.tif", (300, 200), "image/jpeg")
    assert info.resolution == 254.0
    assert info.modified == os.stat(root / "sub/c.tif").st_mtime


async def test_the_version_follows_the_bytes(make, root):
    profile = make()
    first = await profile.get_info("b.jpg")
    assert await profile.get_info("b.jpg") == first

    (root / "new.jpg").write_bytes(b"b.jpg")
    os.utime(root / "new.jpg", ns=(os.stat(root / "b.jpg").st_mtime_ns,) * 2)
    os.replace(root / "new.jpg", root / "b.jpg")

    assert (await profile.get_info("b.jpg")).version != first.version  # same size and time, another file


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/",
        "//",
        "../outside.jpg",
        "sub/../b.jpg",
        "sub/../../outside.jpg",
        "./b.jpg",
        "sub//c.tif",
        "sub/",
        "sub",
        "/etc/passwd",
        "b.jpg/",
        "b.jpg/x",
        ".hidden.jpg",
        "../root-look-alike.jpg",
        "b.jpg\0",
        "nothing",
        "\udcff",
        "x" * 5000,
        "é" * 300,
        "..\\outside.jpg",
        "B.JPG",
    ],
)
async def test_names_that_are_no_image(make, name):
    profile = make()
    with pytest.raises(ImageNotFound) as caught:
        await profile.get_info(name)
    assert "root" not in caught.value.public
    with pytest.raises(ImageNotFound):
        await profile.resolve_original_size(name)


async def test_links(make, root, tmp_path):
    (root / "inside.jpg").symlink_to(root / "b.jpg")
    (root / "leaves.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "leaves").symlink_to(tmp_path)
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    (root / "fifo.jpg").symlink_to(tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo")

    assert await make().resolve_original_size("inside.jpg") == 5
    for name in ("leaves.jpg", "leaves/outside.jpg", "loop.jpg", "fifo.jpg"):
        with pytest.raises(ImageNotFound):
            await make().get_info(name)
    follows = make(follow_symlinks=True)
    assert await follows.resolve_original_size("leaves.jpg") == 7
    for name in ("loop.jpg", "fifo.jpg", "../outside.jpg"):
        with pytest.raises(ImageNotFound):
            await follows.get_info(name)


async def test_a_directory_that_is_a_link_itself(make, root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    profile = make()
    profile.__init__(profile.context, DiskOptions(rights="x", path=tmp_path / "alias"))

    assert await profile.resolve_original_size("b.jpg") == 5


async def test_a_source_is_lent_without_links_in_its_path(make, root):
    (root / "inside.jpg").symlink_to(root / "b.jpg")
    profile = make()

    async with profile.use_source(await profile.get_info("inside.jpg")) as path:
        assert path == root / "b.jpg"


async def test_originals(make):
    profile = make()

    assert await profile.resolve_filename("sub/deeper/d.jp2") == "d.jp2"
    pieces = [piece async for piece in profile.stream_original("sub/deeper/d.jp2", 5)]
    assert b"".join(pieces) == b"sub/deeper/d.jp2"
    assert max(map(len, pieces)) == 5


async def test_listing_in_pages(make):
    profile = make()
    everything = ["a.PNG", "b.jpg", "sub/c.tif", "sub/deeper/d.jp2", "sub.jpg"]

    assert isinstance(profile, ListsNames)
    assert await profile.list_names(None, 100) == everything
    for index, name in enumerate(everything):
        assert await profile.list_names(name, 100) == everything[index + 1 :]
        assert await profile.list_names(name, 1) == everything[index + 1 : index + 2]
    assert (
        await profile.list_names("b.jpgg", 100) == everything[2:]
    )  # a name that is gone still has its place


async def test_default_directory_is_the_profiles_own(make, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "x.jpg").write_bytes(b"x")
    profile = make()
    profile.__init__(profile.context, DiskOptions(rights="x"))

    assert await profile.resolve_original_size("x.jpg") == 1


async def test_lists_what_can_be_read(make, tmp_path):
    """Whatever suffix a reader knows its files by, in any case, and no other."""
    known = {f"x.{suffix}" for reader in READERS for suffix in reader.format.suffixes}
    (tmp_path / "many").mkdir()
    for name in known | {"y.JPG", "y.txt", "y.pdf", "jpg"}:
        (tmp_path / "many" / name).write_bytes(b"x")
    profile = make()
    profile.__init__(profile.context, DiskOptions(rights="x", path=tmp_path / "many"))

    assert set(await profile.list_names(None, 100)) == known | {"y.JPG"}


def test_a_plain_name_costs_a_look_at_each_part_below_the_directory(make, root, monkeypatch):
    """The directory itself is looked up once a second: names are looked up three times for an image."""
    profile = make()
    profile.find("b.jpg")
    looks = []
    real = os.lstat

    def lstat(path, **given):
        looks.append(path)
        return real(path, **given)

    monkeypatch.setattr(os, "lstat", lstat)
    assert profile.find("sub/c.tif") == root / "sub" / "c.tif"
    assert looks == [f"{root}/sub", f"{root}/sub/c.tif"]
