"""Decide how a derivative is made: a pure function of the source's header, the operation and the settings.

Nothing here may look at what happens to be cached or open: the same request has to give the same bytes.
See docs/adr/0003-lossless-jpeg.md for what is lossless when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, floor

from iiif_server.errors import SourceChanging
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import full_scale_tiles, is_tile, level_size, on_grid
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.header import Header
from iiif_server.imaging.orientation import IDENTITY, Symmetry, from_rotation
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.imaging.tiles import StoredTile, find_tile

_SHRINKS = (2, 4, 8, 16, 32)
_SHARED = (1, 2, 4, 8)
_GAP = 2
"""Averaging stops at this many times the wanted size: the final resampling decides the quality."""
_COARSE = 4
"""From this factor on a JPEG's decoder leaves a rest to the resampling; at 1/2 little is lost by none."""
_REST = (3, 2)
"""At least so much, as a fraction: less costs up to 0.7 dB (docs/adr/0016-scaling.md)."""
PIXELS_AT_ONCE = 32_000_000
"""For a pyramid, more of these are cut out of any JPEG strip by strip: all at once takes twice the memory."""
_MANY = 32
"""In a level of so many pixels a side, one that should count less is not noticed."""
FILTER_LOBES = 3
"""How far the resampling filter, Lanczos, reaches: in pixels of the result, or of the source if enlarging."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Pass the stored JPEG on without its metadata."""


@dataclass(frozen=True, slots=True)
class Lossless:
    """Rearrange the stored JPEG's coefficients.

    Attributes:
        crop: the part of the stored image to cut out first, or ``None`` for all of it.
        turn: how to turn it.
        gray: whether to leave the chroma out.
        is_tile: whether the crop is one of :func:`sheet`.
    """

    crop: Rectangle | None
    turn: Symmetry
    gray: bool
    is_tile: bool = False


@dataclass(frozen=True, slots=True)
class PassTile:
    """Pass a stored tile on as a file of its own.

    Attributes:
        tile: which one.
        change: what is to be done to it without decoding, or ``None`` for nothing.
    """

    tile: StoredTile
    change: Lossless | None


@dataclass(frozen=True, slots=True)
class Render:
    """Decode, scale and encode.

    Attributes:
        reduction: by how much the decoder shrinks.
        part: what to decode of that level of the upright image, in its pixels; ``None`` is all of it.
        shrink: by how much what was decoded is then averaged down.
        box: the region in pixels of what is there then; may lie between pixels.
        size: what to scale it to.
        turn: how to turn the result, by quarter turns.
        angle: by how much to turn it further, in degrees clockwise, from 0 up to but without 90.
    """

    reduction: int
    part: Rectangle | None
    shrink: int
    box: tuple[float, float, float, float]
    size: Dimensions
    turn: Symmetry
    angle: float = 0.0


Plan = Copy | Lossless | PassTile | Render
Box = tuple[float, float, float, float]


def plan(header: Header, operation: Operation, settings: RenderSettings) -> Plan:
    """Choose the cheapest way that gives what was asked for.

    Raises:
        SourceChanging: the request was resolved against an image of another size.
    """
    if operation.image != header.size:
        raise SourceChanging("The source image has changed meanwhile.", retry_after=1)
    return (
        _untouched(header, operation, settings)
        or _stored_tile(header, operation, settings)
        or plan_render(header, operation)
    )


def on_copy(operation: Operation, size: Dimensions) -> Operation:
    """The same request against a smaller copy, which a profile may lend when the whole image is wanted.

    An operation that was resolved against this very size comes back as it is; so does one that a copy of this
    size can't serve: :func:`plan` refuses that.

    Args:
        operation: as it was resolved.
        size: of the file that was lent.
    """
    image = operation.image
    if not operation.is_full_region or operation.upscales or size == image:
        return operation
    large_enough = operation.size.width <= size.width <= image.width
    large_enough = large_enough and operation.size.height <= size.height <= image.height
    # The sides of a copy are rounded to whole pixels.
    same_shape = abs(size.width * image.height - size.height * image.width) <= 2 * max(image)
    if not large_enough or not same_shape:
        return operation
    return replace(operation, image=size, region=Rectangle(0, 0, *size))


def sheet(header: Header) -> list[Rectangle]:
    """Where the tiles at full scale lie in the stored JPEG, those that can be cut out without decoding.

    Whoever asks for one asks for its neighbours next, and all together come out of one pass over the file.
    """
    assert header.jpeg is not None
    mcu, inverse = header.jpeg.mcu, header.turn.inverse()
    tiles = (inverse.rectangle(tile, header.size) for tile in full_scale_tiles(header.size))
    return [tile for tile in tiles if not tile.x % mcu.width and not tile.y % mcu.height]


def plan_render(header: Header, operation: Operation) -> Render:
    """Plan to decode: the smallest level that has every pixel that is wanted, and of a JPEG some more."""
    reduction = _reduction(operation, header.reductions, is_jpeg=header.jpeg is not None)
    shrink = 1
    for factor in _SHRINKS:
        if _suffices(operation, reduction * factor * _GAP) and _is_even(operation, reduction * factor):
            shrink = factor
    box, part = _box(operation, reduction * shrink, header.turn, reduction), None
    if header.parts:
        level = header.turn.size(level_size(header.stored, reduction))
        box, part = _within_part(box, operation.size, shrink, level)
    angle = float(operation.rotation.degrees % 90)
    return Render(reduction, part, shrink, box, operation.size, _quarter_turns(operation), angle)


def shared_decoding(operation: Operation, decoding: Decoding | None = None) -> int | None:
    """A number for what has to be decoded that this has in common with other requests.

    ``None`` for whole images: the little that is kept of their decoding is not worth waiting for. Other than
    :func:`plan` this knows no header: a reduction that the format lacks has a number for itself.

    Args:
        operation: the request.
        decoding: what decoding the source takes, if that is known.
    """
    if operation.is_full_region:
        return None
    reduction = _reduction(operation, _SHARED, is_jpeg=decoding is not None and decoding.jpeg is not None)
    level = _SHARED.index(reduction)
    if decoding is not None and (piece := decoding.piece) is not None:
        columns = -(-operation.image.width // piece.width)
        cell = operation.region.y // piece.height * columns + operation.region.x // piece.width
        return len(_SHARED) * cell + level
    if reduction > 1:
        return level
    cut = operation.format is Format.JPG and is_tile(operation.region, operation.image, 1)
    return 0 if cut else len(_SHARED)


def _box(operation: Operation, factor: int, turn: Symmetry, reduction: int) -> Box:
    """The region in pixels of the upright level at this factor."""
    x, y, width, height = operation.region
    # What the decoder adds to round up lies at the stored image's end: at the upright one's start if flipped.
    before_x = -operation.image.width % reduction if turn.flip_x else 0
    before_y = -operation.image.height % reduction if turn.flip_y else 0
    if _on_grid(operation, factor) and not before_x and not before_y:
        # The level has exactly these pixels, also where its last row or column reaches beyond the image.
        left, top = x // factor, y // factor
        return left, top, left + operation.size.width, top + operation.size.height
    return (
        (x + before_x) / factor,
        (y + before_y) / factor,
        (x + before_x + width) / factor,
        (y + before_y + height) / factor,
    )


def _within_part(box: Box, size: Dimensions, shrink: int, level: Dimensions) -> tuple[Box, Rectangle | None]:
    """The part of a level that a box needs with all that the filter sees, and the box within that part.

    The part begins at a multiple of ``shrink``, so that averaging it gives what averaging the level gives.
    """
    left, right = _span(box[0], box[2], size.width, shrink, level.width)
    top, bottom = _span(box[1], box[3], size.height, shrink, level.height)
    part = Rectangle(left, top, right - left, bottom - top)
    if part == (0, 0, *level):
        return box, None
    x, y = left // shrink, top // shrink
    return (box[0] - x, box[1] - y, box[2] - x, box[3] - y), part


def _span(start: float, end: float, size: int, shrink: int, length: int) -> tuple[int, int]:
    """First and last pixel, along one side, that take part in resampling ``start`` to ``end`` to ``size``."""
    exact = end - start == size and start == floor(start)  # cut, not resampled
    reach = 0 if exact else ceil(FILTER_LOBES * max(1.0, (end - start) / size)) + 1
    return max(0, floor(start) - reach) * shrink, min(length, (ceil(end) + reach) * shrink)


def _untouched(header: Header, operation: Operation, settings: RenderSettings) -> Copy | Lossless | None:
    """The way without decoding, if there is one."""
    facts = header.jpeg
    if (
        facts is None
        or not facts.portable
        or operation.format is not Format.JPG
        or operation.quality is Quality.BITONAL
        or operation.size != operation.region.size
        or operation.rotation.degrees % 90
    ):
        return None
    turn = header.turn.then(_quarter_turns(operation))
    gray = operation.quality is Quality.GRAY and not facts.gray
    if operation.is_full_region and turn == IDENTITY and not gray:
        return Copy()
    if not settings.lossless or not facts.croppable:
        return None
    crop = header.turn.inverse().rectangle(operation.region, operation.image)
    if not _on_blocks(crop, facts.mcu, turn):
        return None
    if operation.is_full_region:
        return Lossless(None, turn, gray)
    return Lossless(crop, turn, gray, is_tile(operation.region, operation.image, 1))


def is_copy(tile: StoredTile, operation: Operation) -> bool:
    """Tell whether a request for a stored tile is answered by that tile as it is."""
    return (
        operation.format is Format.JPG
        and tile.is_whole
        and not operation.rotation.degrees
        and not operation.rotation.mirror
        and (operation.quality is Quality.DEFAULT or (operation.quality is Quality.GRAY and tile.is_gray))
    )


def _stored_tile(header: Header, operation: Operation, settings: RenderSettings) -> PassTile | None:
    """The way by a tile of a pyramid, if there is one."""
    if (
        not header.tiles
        or operation.format is not Format.JPG
        or operation.quality is Quality.BITONAL
        or operation.rotation.degrees % 90
        or (tile := find_tile(header.tiles, operation)) is None
    ):
        return None
    if is_copy(tile, operation):
        return PassTile(tile, None)
    turn, level, crop = _quarter_turns(operation), tile.level, tile.crop
    gray = operation.quality is Quality.GRAY and not tile.is_gray
    if not settings.lossless or (gray and level.is_rgb) or not _on_blocks(crop, level.mcu, turn):
        return None
    return PassTile(tile, Lossless(None if tile.is_whole else crop, turn, gray))


def _on_blocks(crop: Rectangle, mcu: Dimensions, turn: Symmetry) -> bool:
    """Tell whether whole blocks can be moved: the origin on the grid, and flipped sides of whole blocks."""
    return (
        crop.x % mcu.width == 0
        and crop.y % mcu.height == 0
        and not (turn.flips_width and crop.width % mcu.width)
        and not (turn.flips_height and crop.height % mcu.height)
    )


def _quarter_turns(operation: Operation) -> Symmetry:
    """The rotation down to a multiple of 90 degrees."""
    return from_rotation(int(operation.rotation.degrees), mirror=operation.rotation.mirror)


def _reduction(operation: Operation, reductions: Iterable[int], *, is_jpeg: bool) -> int:
    """By how much the decoder shrinks: as far as there are enough pixels."""
    suffices = _suffices_of_jpeg if is_jpeg else _suffices
    return max(factor for factor in reductions if factor == 1 or suffices(operation, factor))


def _suffices_of_jpeg(operation: Operation, factor: int) -> bool:
    """Tell whether the level at this factor has enough pixels more than are wanted."""
    if factor < _COARSE or _suffices(operation, 2 * factor):
        return _suffices(operation, factor)
    region, size, (most, least) = operation.region, operation.size, _REST
    return (
        most * factor * size.width <= least * region.width
        and most * factor * size.height <= least * region.height
    )


def _suffices(operation: Operation, factor: int) -> bool:
    """Tell whether the level at this factor has at least as many pixels as are wanted.

    A tile of the ladder at the image's edge counts as full: its last pixel is made of what there is.
    """
    region, size = operation.region, operation.size
    if size.width * factor <= region.width and size.height * factor <= region.height:
        return True
    coarser = factor
    while coarser <= 2 * max(region.size):
        level = level_size(region.size, coarser)
        if level.width < size.width or level.height < size.height:
            return False  # and so is every coarser one
        if level == size and on_grid(region, operation.image, coarser):
            return True
        coarser *= 2
    return False


def _is_even(operation: Operation, factor: int) -> bool:
    """Tell whether it hardly matters that the last pixel of the level at this factor is made of fewer."""
    return all(side % factor == 0 or side >= factor * _MANY for side in operation.region.size)


def _on_grid(operation: Operation, factor: int) -> bool:
    """Tell whether the result is, pixel for pixel, a rectangle of the level at this factor."""
    return operation.size == level_size(operation.region.size, factor) and on_grid(
        operation.region, operation.image, factor
    )
