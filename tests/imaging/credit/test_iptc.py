"""IPTC-IIM data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.imaging.credit.iptc import read_iptc
from iiif_server.imaging.credit.model import MAX_NAMES, Credit
from tests.imaging.credit.helpers import iim, resource

DATA = iim(
    (2, 0, b"\0\4"),
    (2, 25, b"keyword"),
    (2, 80, "Zoë".encode()),
    (2, 80, b"Bob; Smith"),
    (2, 110, b"Museum"),
    (2, 115, b"Herbarium"),
    (2, 116, "© 2024".encode()),
    (2, 116, b"another"),
    utf8=True,
)
CREDIT = Credit(("Zoë", "Bob; Smith"), "© 2024", credit_line="Museum", source="Herbarium")


@pytest.mark.parametrize(
    "block",
    [
        DATA,
        DATA + b"\0\0\0",
        resource(0x0404, DATA),
        b"Photoshop 3.0\0" + resource(0x0404, DATA),
        resource(0x03ED, b"odd") + resource(0x0425, bytes(16), b"a name") + resource(0x0404, DATA, b"ab"),
        resource(0x0404, DATA) + b"junk",
    ],
    ids=["bare", "padded", "resource", "APP13", "third", "junk behind"],
)
def test_reads_it_wherever_it_lies(block):
    """Bare, filled up to 32-bit words, or among Photoshop's resources."""
    assert read_iptc(block) == CREDIT


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_reads_unstated_encodings(encoding):
    """Much software forgets to state UTF-8."""
    assert read_iptc(iim((2, 80, "Zoë Ågren".encode(encoding)))).creators == ("Zoë Ågren",)


def test_replaces_what_is_no_text():
    """Where UTF-8 is stated and not kept."""
    assert read_iptc(iim((2, 80, b"Zo\xeb\0"), utf8=True)).creators == ("Zo\ufffd",)


def test_reads_extended_data_sets():
    """Whose length has a length."""
    long = b"\x1c\x02\x19\x80\x04" + (70_000).to_bytes(4) + bytes(70_000)
    assert read_iptc(long + DATA) == CREDIT


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\x1c",
        b"8BIM",
        b"8BIM\x04\x04",
        resource(0x0404, b""),
        b"8BIM\x04\x04\0\0\xff\xff\xff\xff",
        b"8BIM\0\0\xff\0\0\0\0\0" * 5,
        b"\x1c\x02\x50\xff\xff" + b"\xff" * 99,
        b"\x1c\x02\x50\x7f\xff",
        b"Photoshop 3.0\0",
        b"anything else",
    ],
)
def test_damaged_data_says_nothing(block):
    """And raises nothing."""
    assert read_iptc(block) == Credit()


def test_what_comes_before_the_damage_counts():
    """Data sets are read one by one."""
    assert read_iptc(DATA[: DATA.index(b"another") - 3] + b"\xff" * 9) == CREDIT


def test_floods_are_bounded():
    """Of names, of empty data sets and of empty resources."""
    assert len(read_iptc(iim(*((2, 80, b"%d" % number) for number in range(9000)))).creators) == MAX_NAMES
    assert read_iptc(iim(*[(2, 25, b"")] * 6000) + DATA) == Credit()
    assert read_iptc(resource(1, b"") * 2000 + resource(0x0404, DATA)) == Credit()


@given(st.binary(), st.sampled_from([b"", b"\x1c\x02\x50", b"8BIM\x04\x04", b"8BIM\0\0\0\0"]))
def test_any_bytes_do(data, head):
    """Never an error."""
    assert isinstance(read_iptc(head + data), Credit)
