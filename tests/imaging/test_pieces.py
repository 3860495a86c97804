"""Pieces cover what is wanted, lie side by side, and are neither tiny nor cut through a stored tile."""

from hypothesis import given
from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.pieces import Pieces

FACTORS = st.sampled_from([1, 2, 4, 8, 16, 32])


def test_of_large_tiles() -> None:
    """Each is a piece; at half the size they have half the sides."""
    pieces = Pieces(Dimensions(1024, 2000))
    level = Dimensions(1500, 1400)
    part = Rectangle(500, 990, 100, 20)
    assert list(pieces.touched(part, level, 2)) == [
        Rectangle(0, 0, 512, 1000),
        Rectangle(512, 0, 512, 1000),
        Rectangle(0, 1000, 512, 400),
        Rectangle(512, 1000, 512, 400),
    ]
    assert list(pieces.touched(Rectangle(100, 100, 400, 400), level, 2)) == [Rectangle(0, 0, 512, 1000)]


def test_of_small_tiles() -> None:
    """So many together that they are worth it."""
    pieces = Pieces(Dimensions(100, 256))
    assert list(pieces.touched(Rectangle(0, 0, 1, 1), Dimensions(5000, 5000), 1)) == [
        Rectangle(0, 0, 600, 512)
    ]


def test_of_tiles_that_are_cheap() -> None:
    """Each tile of a level is a piece, and is kept only for those who want a part of it."""
    pieces, level = Pieces(Dimensions(100, 200), is_cheap=True), Dimensions(450, 450)
    assert list(pieces.touched(Rectangle(150, 150, 100, 100), level, 4)) == [
        Rectangle(100, 0, 100, 200),
        Rectangle(200, 0, 100, 200),
        Rectangle(100, 200, 100, 200),
        Rectangle(200, 200, 100, 200),
    ]
    for part in ((0, 0, 100, 200), (100, 200, 300, 200), (400, 400, 50, 50), (0, 0, 450, 450)):
        assert not pieces.pays(Rectangle(*part), level, 4)
    for part in ((0, 0, 99, 200), (1, 0, 99, 200), (100, 200, 300, 201), (400, 400, 49, 50)):
        assert pieces.pays(Rectangle(*part), level, 4)
    assert Pieces(Dimensions(100, 200)).pays(Rectangle(0, 0, 450, 450), level, 4)


def test_of_a_grid_that_begins_before_the_image() -> None:
    """The first column and row are narrower."""
    pieces = Pieces(Dimensions(600, 600), -50, -599)
    found = list(pieces.touched(Rectangle(0, 0, 600, 2), Dimensions(900, 900), 1))
    assert found == [
        Rectangle(0, 0, 550, 1),
        Rectangle(550, 0, 350, 1),
        Rectangle(0, 1, 550, 600),
        Rectangle(550, 1, 350, 600),
    ]


@given(st.data(), FACTORS)
def test_cover_every_part(data: st.DataObject, factor: int) -> None:
    """Without gaps and overlaps, and none for nothing."""
    image = Dimensions(data.draw(st.integers(1, 9000)), data.draw(st.integers(1, 9000)))
    tile = Dimensions(data.draw(st.integers(16, 3000)), data.draw(st.integers(16, 3000)))
    pieces = Pieces(
        tile, -data.draw(st.integers(0, tile.width - 1)), -data.draw(st.integers(0, tile.height - 1))
    )
    if data.draw(st.booleans()):
        pieces = Pieces(tile, is_cheap=True)
    level = level_size(image, factor)
    x, y = data.draw(st.integers(0, level.width - 1)), data.draw(st.integers(0, level.height - 1))
    part = Rectangle(
        x, y, data.draw(st.integers(1, level.width - x)), data.draw(st.integers(1, level.height - y))
    )
    covered = 0
    for piece in pieces.touched(part, level, factor):
        width = min(x + part.width, piece.x + piece.width) - max(x, piece.x)
        height = min(y + part.height, piece.y + piece.height) - max(y, piece.y)
        assert width > 0
        assert height > 0
        assert piece.x >= 0
        assert piece.y >= 0
        assert piece.x + piece.width <= level.width
        assert piece.y + piece.height <= level.height
        covered += width * height
    assert covered == part.width * part.height
