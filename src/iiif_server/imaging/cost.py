"""What image work takes in its worker, estimated before it is begun: arithmetic on facts of the header.

The figures are measured (docs/adr/0013-memory-budget.md), and tests/imaging/test_cost.py holds the estimates
to what worker processes take. Seconds are rough: they only tell light work from heavy.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import TILE, ceil_div, level_size
from iiif_server.iiif.parameters import Format, Quality
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.header import Header
from iiif_server.imaging.orientation import IDENTITY
from iiif_server.imaging.plan import PIXELS_AT_ONCE, Copy, Lossless, PassTile, Render, plan
from iiif_server.imaging.pyramids.index import tile_request, tiles_of
from iiif_server.imaging.tasks import RenderSettings


class Cost(NamedTuple):
    """What work takes.

    Attributes:
        memory: bytes at the most, beyond what the worker takes when it is idle.
        seconds: on one core of a common server, roughly.
        kept: bytes of it that serve the next request, if the worker may keep so many.
    """

    memory: int
    seconds: float
    kept: int = 0


class _Rate(NamedTuple):
    """What an encoder takes: bytes for each pixel, and seconds for a million of them."""

    memory: float
    seconds: float


_AT_LEAST = 4 << 20
"""Bytes that buffers and Python's own objects take, whatever is done."""
_ENCODING = {
    Format.JPG: _Rate(0.5, 0.012),
    Format.PDF: _Rate(0.5, 0.012),
    Format.PNG: _Rate(2.5, 0.06),
    Format.TIF: _Rate(4.5, 0.05),
    Format.GIF: _Rate(8.5, 0.1),
    Format.WEBP: _Rate(5.5, 0.1),
    Format.AVIF: _Rate(23, 0.2),
    Format.JP2: _Rate(36, 0.3),
}
"""Of pixels of three channels."""
_DECODING_SECONDS = {
    "image/jpeg": 0.006,
    "image/jp2": 0.15,
    "image/avif": 0.04,
    "image/heic": 0.05,
}
"""For a million pixels of the level that is decoded."""
_OTHER_SECONDS = 0.03
_READING_SECONDS = 0.006
"""For a million pixels of the source, whatever level is decoded: most of its data is read all the same."""
_MOVING_SECONDS = 0.012
"""For a million pixels whose coefficients are moved."""


def render_cost(
    image: Dimensions,
    media_type: str | None,
    decoding: Decoding,
    operation: Operation,
    settings: RenderSettings,
    *,
    is_alone: bool = False,
) -> Cost:
    """What a derivative takes.

    Args:
        image: size of the upright image.
        media_type: of the source.
        decoding: what decoding it takes.
        operation: resolved against this image.
        settings: how it is made.
        is_alone: whether nothing is prepared for its neighbours.

    Raises:
        SourceChanging: the operation was resolved against an image of another size.
    """
    header = _header(image, decoding)
    chosen = plan(header, operation, settings)
    if isinstance(chosen, Copy | PassTile):
        return Cost(_AT_LEAST + 2 * decoding.file, 0)
    if isinstance(chosen, Lossless):
        return _lossless_cost(image, decoding, chosen, is_alone=is_alone)
    stored = level_size(header.stored, chosen.reduction)
    pixels = prod(chosen.part.size if chosen.part else stored)
    seconds = pixels / 1e6 * _DECODING_SECONDS.get(media_type or "", _OTHER_SECONDS)
    if not decoding.parts:
        seconds += prod(image) / 1e6 * _READING_SECONDS
    seconds += prod(operation.size) / 1e6 * _ENCODING[operation.format].seconds
    level = pixels * _sample_bytes(decoding)
    shrunk = level // chosen.shrink**2 if chosen.shrink > 1 else 0
    premultiplied = level if shrunk and decoding.has_alpha else 0
    memory = max(
        decoding_memory(decoding, pixels),
        level + premultiplied + shrunk,
        level + shrunk + finishing_memory(decoding, operation, chosen, header.turn.size(stored)),
    )
    return Cost(_AT_LEAST + memory, seconds, 0 if chosen.part else level + shrunk)


def pyramid_memory(image: Dimensions, decoding: Decoding, settings: RenderSettings) -> int:
    """Bytes that building a pyramid takes, whose levels are made of each other, or decoded where that can be.

    The full scale of a JPEG may come without decoding, beside the next level.
    """
    pixels, samples = prod(image), _sample_bytes(decoding)
    levels = round(pixels * samples / 3)  # a quarter, a sixteenth, and so on
    header, tiles = _header(image, decoding), tiles_of(image, 1)
    columns = ceil_div(image.width, TILE.width)
    corners = (tiles[0], tiles[columns - 1], tiles[-columns], tiles[-1])
    plans = [plan(header, tile_request(image, tile, 1), settings) for tile in corners]
    memory = 0
    if not all(isinstance(each, Lossless) for each in plans):
        memory = max(decoding_memory(decoding, pixels), pixels * samples + levels)
    if isinstance(plans[0], Lossless):
        besides = max(decoding_memory(decoding, pixels // 4), levels)
        cutting = sheet_memory(image, decoding)
        if pixels > PIXELS_AT_ONCE:  # written anew before, if it can't be cut in strips
            cutting = min(cutting, decoding.coefficients + 4 * decoding.file)
        memory = max(memory, cutting + besides)
    return _AT_LEAST + memory


def decoding_memory(decoding: Decoding, pixels: int) -> int:
    """Bytes at the most that decoding so many pixels of a source takes, until they are upright sRGB."""
    turning = 0 if decoding.turn == IDENTITY else 2 * _sample_bytes(decoding)
    return round(max(decoding.file + decoding.fixed + pixels * decoding.per_pixel, pixels * turning))


def sheet_memory(image: Dimensions, decoding: Decoding) -> int:
    """All tiles at full scale out of one pass: two sets of coefficients, the file, and its pieces."""
    return round(2 * decoding.coefficients * _held(image, decoding, TILE.height)) + 3 * decoding.file


def finishing_memory(decoding: Decoding, operation: Operation, chosen: Render, level: Dimensions) -> int:
    """Bytes besides the level: scaled, turned, on a background, in another quality, encoded.

    Args:
        decoding: of the source.
        operation: that is done.
        chosen: how.
        level: size of the upright level that is decoded.
    """
    left, top, right, bottom = chosen.box
    width, height = chosen.size
    samples, pixels = _sample_bytes(decoding), width * height
    is_cut = (right - left, bottom - top) == chosen.size
    is_whole = is_cut and chosen.part is None and chosen.shrink == 1 and chosen.size == level
    scaled = 0 if is_whole else pixels * samples
    between = 0 if is_cut else round((right - left) * height * samples)  # scaled down, not yet across
    if decoding.has_alpha and not is_cut:
        # Another resampling, the other way round, of what was cut out and premultiplied.
        between = round((width + 2 * (right - left)) * (bottom - top) * samples)
    if chosen.turn != IDENTITY:
        between = max(between, pixels * samples)
    if chosen.angle:
        # The corners of the turned image fit into at most twice the area.
        pixels, samples, between = 2 * pixels, 4, 8 * pixels
        scaled = pixels * samples
    has_alpha = decoding.has_alpha or bool(chosen.angle)
    converted = 0
    if has_alpha and operation.format in {Format.JPG, Format.PDF}:
        converted = pixels * (2 * samples + 1)
    if operation.quality in {Quality.GRAY, Quality.BITONAL} and samples > 1:
        converted += 2 * pixels
    channels = 3 if samples > 1 and operation.quality in {Quality.DEFAULT, Quality.COLOR} else 1
    encoding = pixels * _ENCODING[operation.format].memory * channels / 3
    return scaled + max(between, converted + round(encoding))


def _header(image: Dimensions, decoding: Decoding) -> Header:
    """As much of the source's header as planning looks at."""
    return Header(
        decoding.turn.size(image),
        decoding.turn,
        decoding.channels > 2,
        decoding.reductions,
        parts=decoding.parts,
        jpeg=decoding.jpeg,
    )


def _held(image: Dimensions, decoding: Decoding, lines: int) -> float:
    """How much of a JPEG's coefficients is held at a time while parts of so many lines are cut out."""
    if decoding.jpeg is None or not decoding.jpeg.in_strips:
        return 1.0
    return min(1.0, max(lines, TILE.height) / decoding.turn.size(image).height)


def _sample_bytes(decoding: Decoding) -> int:
    """Bytes of a pixel in Pillow's memory: one for gray, else four, also of three channels."""
    return 1 if decoding.channels == 1 else 4


def _lossless_cost(image: Dimensions, decoding: Decoding, chosen: Lossless, *, is_alone: bool) -> Cost:
    whole = prod(image)
    seconds = whole / 1e6 * _MOVING_SECONDS
    if chosen.is_tile and not is_alone:
        return Cost(_AT_LEAST + sheet_memory(image, decoding), seconds, decoding.file)
    if chosen.crop is None:
        held, moved = 1.0, float(chosen.turn != IDENTITY)  # gray alone is made in place
    else:
        held, moved = _held(image, decoding, chosen.crop.height), prod(chosen.crop.size) / whole
    memory = decoding.coefficients * (held + moved) + 3 * decoding.file
    return Cost(_AT_LEAST + round(memory), seconds)
