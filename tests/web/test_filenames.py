"""Names of downloads: whatever comes in, a name that any system takes goes out."""

import re
import unicodedata
from decimal import Decimal
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.parameters import Format, Quality, Rotation
from iiif_server.iiif.resolve import Operation
from iiif_server.web.filenames import content_disposition, describe, safe_filename, split_suffix, stem_of

IMAGE = Dimensions(700, 500)
FULL = Rectangle(0, 0, *IMAGE)

hostile = st.text(
    st.sampled_from(
        "ab.9 /\\:*?\"<>|%;,='\r\n\t\0\x7f\x85\u2028\u202e\u200d\u200f\ufeffé\u0301☃雪\U0001f600≮"
    )
    | st.characters()
)
suffixes = st.sampled_from(["jpg", "png", "tif", ".jpg", ""]) | hostile


@given(hostile, suffixes, hostile)
@example("", "", "")
@example("..", "..", "..")
@example("x" * 500, "y" * 500, "z" * 500)
@example("雪" * 500, "jpg", "")
@example("nul.txt", "jpg", "")
@example("com1", "", "")
@example("\u202e\u200d.hidden", "", "")
def test_any_name_becomes_one_that_is_safe(stem, suffix, description):
    name = safe_filename(stem, suffix, description)

    assert name
    assert len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|')
    assert all(unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") for character in name)
    assert not re.search("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]", name)  # no turned writing
    assert name[0] not in ". "
    assert name[-1] not in ". "
    assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE)


@given(hostile, st.sampled_from(list(Format)), st.text("0123456789, to", max_size=60))
def test_the_suffix_is_kept_whatever_the_name(stem, suffix, description):
    assert safe_filename(stem, suffix, description).endswith(f".{suffix}")


@given(hostile, st.sampled_from(["inline", "attachment"]))
@example("a\r\nSet-Cookie: b=c", "attachment")
@example('a"; filename=b', "attachment")
@example("100%41", "attachment")
def test_a_header_says_the_name_and_nothing_else(stem, kind):
    """Read as RFC 6266 and RFC 8187 write it."""
    name = safe_filename(stem, "jpg")
    header = content_disposition(kind, name)

    match = re.fullmatch(
        r"""(\w+);\ filename="([ !#$&-~]*)"(?:;\ filename\*=UTF-8''((?:[\w!#$&+.^`|~-]|%[0-9A-F]{2})*))?""",
        header,
        re.ASCII | re.VERBOSE,
    )
    assert match
    told, plain, exact = match.groups()
    assert told == kind
    assert not set(plain) & set('"\\%/')
    assert plain.endswith(".jpg")
    assert (plain if exact is None else unquote_to_bytes(exact).decode()) == name
    assert (exact is None) is (name.isascii() and "%" not in name)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("specimen-1.jpg", 'filename="specimen-1.jpg"'),
        ("a, b; c's.jpg", 'filename="a, b; c\'s.jpg"'),
        ("été ☃.png", "filename=\"ete _.png\"; filename*=UTF-8''%C3%A9t%C3%A9%20%E2%98%83.png"),
        ("50%.jpg", "filename=\"50_.jpg\"; filename*=UTF-8''50%25.jpg"),
        ("صورة.jpg", "filename=\"____.jpg\"; filename*=UTF-8''%D8%B5%D9%88%D8%B1%D8%A9.jpg"),
    ],
)
def test_headers(name, header):
    assert content_disposition("attachment", name) == f"attachment; {header}"


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("specimen-1", "specimen-1.jpg"),
        ("a/b\\c", "a_b_c.jpg"),
        (" two  words\n", "two words.jpg"),
        ("..hidden", "hidden.jpg"),
        ("...", "image.jpg"),
        ("", "image.jpg"),
        ("\u202e\u200b", "image.jpg"),
        ("dots...", "dots.jpg"),
        ("con", "_con.jpg"),
        ("LPT1.backup", "_LPT1.backup.jpg"),
        ("console", "console.jpg"),
        ("e\u0301", "é.jpg"),
        ("می\u200cخواهم", "می\u200cخواهم.jpg"),  # Persian, with the joiner that it is spelled with
        ("cover\u202egpj.exe", "covergpj.exe.jpg"),
    ],
)
def test_names(stem, name):
    assert safe_filename(stem, "jpg") == name


def test_what_is_too_long_is_cut_at_the_end_of_the_stem():
    assert safe_filename("x" * 300, ".jpg", "gray") == "x" * 189 + " (gray).jpg"
    assert safe_filename("雪" * 300, "jpg") == "雪" * 65 + ".jpg"  # 199 bytes: a character is never halved


def test_a_file_may_keep_its_own_suffix_or_have_none():
    assert safe_filename("Readme", "") == "Readme"
    assert safe_filename("scan", ".TIF") == "scan.TIF"
    assert safe_filename("scan", "a/b") == "scan.a_b"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("photo.jpg", "photo"),
        ("photo.JPEG", "photo"),
        ("photo.tar.tiff", "photo.tar"),
        ("NHM-1.2", "NHM-1.2"),
        ("letter of J. Smith", "letter of J. Smith"),
        (".jpg", ".jpg"),
        ("jpg", "jpg"),
        ("a.jpg/b", "a.jpg/b"),
        ("", ""),
    ],
)
def test_the_suffix_of_an_image_goes_and_no_other(name, stem):
    assert stem_of(name) == stem


@pytest.mark.parametrize("format_", list(Format))
def test_every_format_that_is_served_is_known_by_its_suffix(format_):
    assert stem_of(f"photo.{format_}") == "photo"


def described(region=FULL, size=IMAGE, rotation="0", mirror=False, quality=Quality.DEFAULT, page=1):
    rotation = Rotation(Decimal(rotation), mirror)
    operation = Operation(IMAGE, Rectangle(*region), Dimensions(*size), rotation, quality, Format.JPG)
    return describe(operation, page)


def test_descriptions():
    assert described() == ""
    assert described(size=(350, 250)) == "to 350,250"
    assert described((0, 0, 512, 500), (256, 250)) == "0,0,512,500 to 256,250"
    assert described((10, 20, 30, 40), (30, 40)) == "10,20,30,40"
    assert described(rotation="90") == "rotated 90"
    assert described(rotation="22.50") == "rotated 22.5"
    assert described(mirror=True) == "mirrored"
    assert described(quality=Quality.BITONAL) == "bitonal"
    assert described(page=2) == "page 2"
    assert described(size=(350, 250), page=12) == "page 12 to 350,250"
    assert (
        described((0, 0, 512, 500), (256, 250), "90", mirror=True, quality=Quality.GRAY)
        == "0,0,512,500 to 256,250 mirrored rotated 90 gray"
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.tif", ("a", ".tif")),
        ("a.b.NEF", ("a.b", ".NEF")),
        ("J. Smith", ("J. Smith", "")),
        ("a.été", ("a.été", "")),
        (".tif", (".tif", "")),
        ("a.", ("a.", "")),
        ("a.tif\n", ("a.tif\n", "")),
        ("", ("", "")),
        ("a.12345678901", ("a.12345678901", "")),
    ],
)
def test_the_suffix_of_any_file(name, parts):
    assert split_suffix(name) == parts
