"""Tiles on the reference grid of a JPEG 2000 codestream."""

from math import lcm

from hypothesis import assume, given
from hypothesis import strategies as st

from iiif_server.iiif.ladder import ceil_div
from iiif_server.imaging.readers.reference_grid import Axis


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    grid, step = draw(st.integers(0, 300)), draw(st.integers(1, 300))
    start = grid + draw(st.integers(0, step - 1))
    return Axis(start, start + draw(st.integers(1, 2000)), grid, step, 2 ** draw(st.integers(5, 9)))


def extent(axis: Axis, tile: int) -> tuple[int, int]:
    """Of a tile (B-7 to B-10)."""
    return max(axis.start, axis.grid + tile * axis.step), min(axis.end, axis.grid + (tile + 1) * axis.step)


@given(axes(), st.data(), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_tiles_keep_their_extent(axis: Axis, data: st.DataObject, factor: int) -> None:
    """They are moved by a multiple of the unit, and by nothing at full size."""
    if factor > 1:
        axis = Axis(0, axis.end, 0, axis.step, axis.unit)
        assume(not axis.has_empty_tile(factor))
    first = data.draw(st.integers(0, axis.count - 1))
    tiles = range(first, data.draw(st.integers(first + 1, axis.count)))
    cut, first_of_new, origin = axis.cut(tiles, factor)
    shift = extent(axis, tiles.start)[0] - extent(cut, tiles.start - first_of_new)[0]
    assert shift % axis.unit == 0
    assert factor > 1 or shift == 0
    for tile in tiles:
        start, end = extent(axis, tile)
        assert extent(cut, tile - first_of_new) == (start - shift, end - shift)
    assert cut.grid <= cut.start < cut.grid + cut.step
    assert cut.length <= axis.reach + (len(tiles) - 1) * axis.step + factor or factor == 1
    if factor > 1:
        assert cut.start == 0
        # Pillow rounds to nearest, and must not round the last pixel away.
        size = cut.end if cut.end + shift < axis.end else 0
        assert (size + factor // 2) // factor == ceil_div(size, factor)
        assert origin * factor == shift
    else:
        assert origin == extent(axis, tiles.start)[0] - axis.start


@given(axes(), st.data())
def test_touched_tiles_hold_the_pixels(axis: Axis, data: st.DataObject) -> None:
    """All of them, and none that hold nothing of them."""
    start = data.draw(st.integers(0, axis.length - 1))
    stop = data.draw(st.integers(start + 1, axis.length))
    found = axis.touched(start, stop, 1)
    assert extent(axis, found[0])[0] <= axis.start + start < extent(axis, found[0])[1]
    assert extent(axis, found[-1])[0] < axis.start + stop <= extent(axis, found[-1])[1]


def test_the_longest_cut() -> None:
    """The image itself, or up to where tiles and unit meet again."""
    assert Axis(0, 12_000, 0, 1024, 2048).reach == 3072
    assert Axis(0, 12_000, 0, 1000, 2048).reach == 12_000
    assert Axis(0, 10**6, 0, 1000, 2048).reach == lcm(1000, 2048) + 1000
