"""Artist and Copyright."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from iiif_server.imaging.credit.exif import exif_block, exif_texts, read_exif
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.tiff import ARTIST, COPYRIGHT
from tests.imaging.credit.helpers import CREDITS, FULL, directory


def read(artist: bytes, notice: bytes = b"", **options: object) -> Credit:
    return read_exif(directory({ARTIST: artist, COPYRIGHT: notice}, **options))  # type: ignore[arg-type]


def test_names_are_parted_by_semicolons():
    """One that holds a semicolon stands in quotes; blanks that cameras fill up with are none."""
    assert read(b"Zo\xc3\xab;Bob ;\0").creators == ("Zoë", "Bob")
    assert read(b'"Smith; Bob"; "the ""Z"""').creators == ("Smith; Bob", 'the "Z"')
    assert read(b'Bob "B" Smith').creators == ('Bob "B" Smith',)
    assert read(b"           \0").creators == ()


def test_both_notices_count():
    """The photographer's, a NUL, the editor's; a blank stands for a missing first one."""
    assert read(b"", b"a\0b\0").copyright_notice == "a; b"
    assert read(b"", b" \0b\0").copyright_notice == "b"
    assert read(b"", b"a\0\0\0").copyright_notice == "a"


@pytest.mark.parametrize("kind", [2, 7, 129])
def test_texts_in_utf8_and_latin1(kind):
    """Whatever the tag's type says; no byte of 0x80 and more is ASCII anyway."""
    assert read("© Zoë".encode(), kind=kind).creators == ("© Zoë",)
    assert read("© Zoë".encode("latin-1"), kind=kind).creators == ("© Zoë",)


def test_a_block_with_or_without_signature():
    """As in JPEG, and as in PNG."""
    block = exif_block(FULL)
    assert read_exif(block) == read_exif(block[6:]) != Credit()


def test_pillow_reads_what_is_written():
    """Two tags, both ASCII by type and UTF-8 by content, and no orientation."""
    exif = Image.Exif()
    exif.load(exif_block(FULL))
    texts = {tag: str(value).encode("latin-1").decode() for tag, value in exif.items()}
    assert texts == {
        ExifTags.Base.Artist: 'Zoë Ågren; "A; ""B"" & <C>"',
        ExifTags.Base.Copyright: "© 2024 Muséum 自然",
    }


def test_nothing_makes_no_block():
    """Nor does what EXIF can't say."""
    assert exif_block(Credit()) == exif_block(Credit(source="a")) == b""
    assert exif_texts(Credit(creators=("a", "b"))) == (b"a; b", b"")


@given(CREDITS)
def test_what_is_written_is_read(credit):
    """The same creators and the same notice, by the same bytes each time."""
    block = exif_block(credit)
    assert block == exif_block(credit)
    if len(block) < 60_000:
        assert read_exif(block) == Credit(creators=credit.creators, copyright_notice=credit.copyright_notice)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_contents_do(artist, notice):
    """Never an error, and always clean."""
    credit = read(artist, notice)
    assert "\0" not in "".join(credit.creators) + credit.copyright_notice
