"""The wanted tags of TIFF directories."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.imaging.credit.tiff import ARTIST, COPYRIGHT, first_directory
from tests.imaging.credit.helpers import directory

TAGS = {271: b"a camera", ARTIST: b"Zo\xc3\xab \xc3\x85gren\0", COPYRIGHT: b"abc\0"}


def tags_of(data: bytes, max_bytes: int = 100) -> dict[int, bytes]:
    return first_directory(io.BytesIO(data), {ARTIST, COPYRIGHT}, max_bytes)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 2, 7, 129])
def test_reads_the_wanted_tags(order, big, kind):
    """In both orders, of TIFF and BigTIFF, in their place and beside it."""
    wanted = {ARTIST: TAGS[ARTIST], COPYRIGHT: TAGS[COPYRIGHT]}
    assert tags_of(directory(TAGS, order=order, big=big, kind=kind)) == wanted


def test_no_more_is_read_than_allowed():
    """However long a tag says that it is."""
    assert tags_of(directory(TAGS, count=2**32 - 1), 5)[ARTIST] == b"Zo\xc3\xab "


def test_other_types_are_left_alone():
    """A text that is said to be of fractions is none."""
    assert tags_of(directory(TAGS, kind=5)) == {}


def test_a_file_cut_short_counts_as_far_as_it_goes():
    """Whole entries are read, and as much of their contents as there is."""
    whole = directory(TAGS)
    found = [tags_of(whole[:length]) for length in range(len(whole) + 1)]
    assert found[0] == {}
    assert found[-1] == tags_of(whole)
    assert {ARTIST: b"Zo\xc3"} in [{ARTIST: tags[ARTIST][:3]} for tags in found if ARTIST in tags]


@given(st.binary(max_size=400), st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+"]))
def test_any_bytes_do(data, head):
    """Never an error."""
    assert set(tags_of(head + data)) <= {ARTIST, COPYRIGHT}


@given(st.data())
def test_any_damage_does(data):
    """Never an error."""
    whole = bytearray(directory(TAGS, big=data.draw(st.booleans())))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    assert set(tags_of(bytes(whole))) <= {ARTIST, COPYRIGHT}
