"""The example of a profile whose images lie in archives: the contract, and what archives do besides."""

import os
import random
import re
import struct
from dataclasses import replace
from functools import partial
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from iiif_server.api import (
    IIIFServerError,
    ImageNotFound,
    SourceTooLarge,
    UnreadableSource,
)
from iiif_server.testing import ProfileContract, draw_image
from tests.support.examples import example_source, imported_example
from tests.support.paths import REPOSITORY

HOW_TO = REPOSITORY / "docs" / "how-to"
ARCHIVE = "herbarium-1887.zip"
NAME = f"{ARCHIVE}/plates/01.tif"
PNG = draw_image("", 40, 30, file_format="PNG").original
LOCAL, CENTRAL = b"PK\3\4", b"PK\1\2"


@pytest.fixture(scope="module")
def example():
    with imported_example("zip") as module:
        yield module


@pytest.fixture
def setup(iiif_profile, example, tmp_path):
    (profile_type,) = example.iiif_register_profiles()
    (tmp_path / "archives").mkdir()
    return iiif_profile(profile_type, directory="archives")


@pytest.fixture
async def live(setup):
    async with setup.live() as living:
        yield living


@pytest.fixture
def write(tmp_path):
    """Write an archive of members by their paths, and put it in its place as a whole."""

    def write(members, name=ARCHIVE, compression=ZIP_DEFLATED, comment=b""):
        with ZipFile(tmp_path / "new", "w", compression) as archive:
            archive.comment = comment
            for inside, content in members.items():
                archive.writestr(inside, content)
        return (tmp_path / "new").rename(tmp_path / "archives" / name)

    return write


def mark(path, offset, value):
    """Overwrite a half-word at an offset of the archive's one member, in its header and in the directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, content.index(LOCAL) + offset - 2, value)
    struct.pack_into("<H", content, content.index(CENTRAL) + offset, value)
    path.write_bytes(content)


async def taken(live, name):
    return b"".join([piece async for piece in live.stream_original(name, 1000)])


class TestDeflated(ProfileContract):
    """Members that are compressed, below a directory that is listed as well."""

    compression = ZIP_DEFLATED
    comment = b""

    @pytest.fixture
    def put(self, write):
        def put(seed=0):
            image = draw_image(NAME, seed=seed)
            members = {"plates/": b"", "plates/01.tif": image.original, "b.png": PNG, "README.txt": b"text"}
            write(members, compression=self.compression, comment=self.comment)
            return image

        return put

    @pytest.fixture
    def profile(self, setup):
        return setup

    @pytest.fixture
    def known_image(self, setup, put):
        return put()

    @pytest.fixture
    def modify(self, put):
        return lambda: put(seed=1)

    @pytest.fixture
    def vanish(self, tmp_path):
        return (tmp_path / "archives" / ARCHIVE).unlink

    @pytest.fixture
    def damage(self, tmp_path):
        return partial(os.truncate, tmp_path / "archives" / ARCHIVE, 1000)


class TestStored(TestDeflated):
    """Members that are not compressed, in an archive that has a comment at its end."""

    compression = ZIP_STORED
    comment = b"Herbarium, 1887"


async def test_a_change_elsewhere_in_the_archive_is_noticed(live, write):
    """The checksum of a member alone would not tell it from another with the same one."""
    write({"1.png": PNG})
    first = await live.get_info(f"{ARCHIVE}/1.png")
    write({"1.png": PNG, "2.png": PNG})

    assert (await live.get_info(f"{ARCHIVE}/1.png")).version != first.version


async def test_an_unchanged_archive_is_not_read_again(live, write, monkeypatch, example):
    write({"1.png": PNG})
    first = await live.get_info(f"{ARCHIVE}/1.png")
    monkeypatch.setattr(example, "ZipFile", None)

    assert await live.get_info(f"{ARCHIVE}/1.png") == first


async def test_names_are_those_in_the_archive(live, write):
    write({"Bögen/a b+c.png": PNG, "../../up.png": PNG, "/etc/x.png": PNG}, name="ä.b.zip")

    names = ["ä.b.zip/../../up.png", "ä.b.zip//etc/x.png", "ä.b.zip/Bögen/a b+c.png"]
    assert await live.list_names(None, 9) == names
    for name in names:
        assert await taken(live, name) == PNG
        assert (await live.get_info(name)).size == (40, 30)
    assert await live.resolve_filename(names[2]) == "a b+c.png"


async def test_pages_of_names_go_from_archive_to_archive(live, write, tmp_path):
    for name in ("b.zip", "a.zip", "a.zip.zip"):
        write({"2.PNG": PNG, "1.jpg": PNG, "notes.txt": b""}, name=name)
    (tmp_path / "archives" / "aa.zip").write_bytes(b"damaged")
    (tmp_path / "archives" / "ab.zip").mkdir()

    names = [f"{name}/{inside}" for name in ("a.zip", "a.zip.zip", "b.zip") for inside in ("1.jpg", "2.PNG")]
    assert await live.list_names(None, 9) == names
    for number, name in enumerate(names):
        assert await live.list_names(name, 2) == names[number + 1 : number + 3]
    assert await live.list_names("a.zip/1.png", 1) == ["a.zip/2.PNG"]


async def outcomes(live, name):
    """The errors of all that looks an image up."""
    calls = live.get_info(name), live.resolve_original_size(name), taken(live, name)
    found = []
    for call in calls:
        with pytest.raises(IIIFServerError) as caught:
            await call
        found.append(caught.value)
    return found


@pytest.mark.parametrize(("offset", "value"), [(8, 1), (10, ZIP_BZIP2), (10, 99)])
async def test_what_can_not_be_extracted_safely_is_refused(live, write, offset, value):
    """Encrypted; compressed so that a kilobyte may become a gigabyte; and by no known method."""
    mark(write({"1.png": PNG}, compression=ZIP_STORED), offset, value)

    assert {type(error) for error in await outcomes(live, f"{ARCHIVE}/1.png")} == {UnreadableSource}
    assert await live.list_names(None, 9) == []


async def test_a_bomb_is_refused(live, write):
    write({"1.tif": bytes(5_000_000)})
    live.context = replace(live.context, max_source_bytes=4_000_000)

    assert {type(error) for error in await outcomes(live, f"{ARCHIVE}/1.tif")} == {SourceTooLarge}
    assert await live.list_names(None, 9) == []


@pytest.mark.parametrize("told", [100, 4_999_999, 5_000_001])
async def test_no_more_is_extracted_than_the_archive_says(live, write, told):
    path = write({"1.tif": b"II*\0" + bytes(4_999_996)})
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, content.index(CENTRAL) + 24, told)
    path.write_bytes(content)

    with pytest.raises(UnreadableSource):
        await live.get_info(f"{ARCHIVE}/1.tif")
    with pytest.raises(UnreadableSource):
        await taken(live, f"{ARCHIVE}/1.tif")
    assert (await live.get_status())["sources"]["entries"] == 0


async def test_what_is_no_image_is_not_kept(live, write):
    write({"README.txt": b"nothing to see"})

    with pytest.raises(UnreadableSource):
        await live.get_info(f"{ARCHIVE}/README.txt")
    assert (await live.get_status())["sources"]["entries"] == 0


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
async def test_a_damaged_archive_is_an_error_that_was_foreseen(live, write, compression):
    path = write({"1.png": PNG}, compression=compression)
    whole, dice = path.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(150):
        content = bytearray(whole[: dice.choice([len(whole), dice.randrange(len(whole))])])
        for _ in range(dice.randrange(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content)
        try:
            assert await taken(live, f"{ARCHIVE}/1.png") == PNG
        except IIIFServerError as error:
            refused += 1
            assert str(path) not in error.public
        await live.list_names(None, 9)

    assert refused > 50


@pytest.mark.parametrize("offset", [1 << 40, (1 << 63) + 5, (1 << 64) - 1])
async def test_a_member_beyond_the_end_is_refused(live, write, offset):
    """An archive of 64 bits tells a place that no file has, or none that a system could look for."""
    member = ZipInfo("1.png")
    member.extra = struct.pack("<HHQ", 1, 8, offset)
    path = write({member: PNG})
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, content.index(CENTRAL) + 42, 0xFFFFFFFF)
    path.write_bytes(content)

    assert {type(error) for error in await outcomes(live, f"{ARCHIVE}/1.png")} == {UnreadableSource}


async def test_a_pipe_is_no_archive(live, tmp_path):
    os.mkfifo(tmp_path / "archives" / "pipe.zip")

    with pytest.raises(ImageNotFound):
        await live.get_info("pipe.zip/1.png")
    assert await live.list_names(None, 9) == []


@pytest.mark.parametrize(
    "name", ["../archives/a.zip/1.png", "/a.zip/1.png", "a.zip", "a.zip/", "sub/a.zip/1.png"]
)
async def test_an_archive_is_in_the_directory_itself(live, write, name):
    write({"1.png": PNG}, name="a.zip")

    with pytest.raises(ImageNotFound):
        await live.get_info(name)


@pytest.mark.parametrize("page", ["fetch-and-lease-sources.md", "profile-errors.md"])
def test_the_guides_show_the_example_as_it_is(page):
    shown = re.findall(r"^```python\n(.*?)^```", (HOW_TO / page).read_text(), re.MULTILINE | re.DOTALL)

    assert len(shown) > 1
    for part in shown[1:]:  # the first is an example of its own
        assert part in example_source("zip").read_text()
