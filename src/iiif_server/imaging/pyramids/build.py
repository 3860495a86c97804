"""Build a pyramid: make every tile of a source as a request for it would, and write them into one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, NamedTuple

from PIL import Image, JpegImagePlugin

from iiif_server.errors import RenderFailed
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import TILE, level_size, scale_factors
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.pyramids.index import Span, tile_request, tiles_of, write_index
from iiif_server.imaging.pyramids.tiff import Layout, Level, TiffWriter
from iiif_server.imaging.tasks import RenderSettings

_SUBSAMPLINGS = {0: (1, 1), 1: (2, 1), 2: (2, 2)}


class BuildCancelled(RenderFailed):
    """Nobody wants this pyramid any more."""


class PyramidTooLarge(RenderFailed):
    """The tiles take more room than was set aside for them."""


class Built(NamedTuple):
    """What was built: bytes of the file, and how many tiles are in it."""

    size: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Renderer:
    """What makes the tiles.

    Attributes:
        render: the answer to a request, as a JPEG file.
        forget: lets go of the levels that were decoded for it.
        reduction: tells by how much the decoder shrinks for a request.
    """

    render: Callable[[Operation], bytes]
    forget: Callable[[], None]
    reduction: Callable[[Operation], int]


def build_pyramid(
    renderer: Renderer, image: Dimensions, settings: RenderSettings, out: BinaryIO, max_bytes: int
) -> Built:
    """Write the pyramid of an image into an empty file.

    Args:
        renderer: makes the tiles.
        image: size of the full, upright image.
        settings: what the tiles are made by.
        out: open for writing. Once it has no name any more, the work ends.
        max_bytes: what the file may take.

    Raises:
        BuildCancelled: the file was removed.
        PyramidTooLarge: it would take more than ``max_bytes``.
        IIIFServerError: whatever keeps a tile from being made.
        OSError: the disk is full, or fails.
    """
    writer = TiffWriter(out, TILE)
    served: dict[int, list[Span]] = {}
    levels: dict[int, Level] = {}
    decoded: int | None = None
    for factor in _order(scale_factors(image, TILE)):
        reduction = renderer.reduction(tile_request(image, tiles_of(image, factor)[0], factor))
        if reduction != decoded:
            renderer.forget()  # what is decoded next is made of the file, not of the levels before
            decoded = reduction
        served[factor], levels[factor] = _build_level(
            renderer, image, factor, settings, writer, lambda: _check(out, writer, max_bytes)
        )
    writer.finish([levels[factor] for factor in sorted(levels)])
    write_index(out, image, {factor: served[factor] for factor in sorted(served)})
    out.flush()
    _check(out, writer, max_bytes)
    return Built(out.tell(), sum(map(len, served.values())))


def _order(factors: tuple[int, ...]) -> tuple[int, ...]:
    """Full scale last: its tiles may be on their way already, from a file that is cut without decoding."""
    return (*factors[1:], factors[0])


def _build_level(
    renderer: Renderer,
    image: Dimensions,
    factor: int,
    settings: RenderSettings,
    writer: TiffWriter,
    check: Callable[[], None],
) -> tuple[list[Span], Level]:
    """The tiles as they are served, and the directory of those that other readers see."""
    served, seen = [], []
    layout: Layout | None = None
    for region in tiles_of(image, factor):
        check()
        data = renderer.render(tile_request(image, region, factor))
        span = writer.append(data)
        served.append(span)
        size, own = _look(data)
        layout = layout or own
        if size != TILE or own != layout:
            # A TIFF's tiles are all of one size and kind. This one has a twin, which is served to nobody.
            span = writer.append(_filled(data, layout, settings))
        seen.append(span)
    assert layout is not None
    return served, Level(level_size(image, factor), layout, seen)


def open_target(path: str, inode: int) -> BinaryIO:
    """Open the file that was made for a pyramid.

    Raises:
        BuildCancelled: it is not there any more.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BuildCancelled("The pyramid is not wanted any more.") from None
    if os.fstat(descriptor).st_ino != inode:
        os.close(descriptor)
        raise BuildCancelled("The pyramid is not wanted any more.")
    return os.fdopen(descriptor, "r+b")


def _check(out: BinaryIO, writer: TiffWriter, max_bytes: int) -> None:
    if not os.fstat(out.fileno()).st_nlink:
        raise BuildCancelled("The pyramid is not wanted any more.")
    if writer.size > max_bytes:
        raise PyramidTooLarge(
            "The pyramid would be too large.", log=f"a pyramid would take more than {max_bytes} bytes"
        )


def _look(data: bytes) -> tuple[Dimensions, Layout]:
    """The size of a tile, and how it holds its samples."""
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        first = image.layer[0]  # identifier, across, down, table
        sampling = (first[1], first[2]) if len(image.layer) > 1 else (1, 1)
        return Dimensions(*image.size), Layout(len(image.layer), sampling)


def _filled(data: bytes, layout: Layout, settings: RenderSettings) -> bytes:
    """A tile of the full size, whose last column and row go on to the edge."""
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        width, height = image.size
        mode = "L" if layout.channels == 1 else "RGB"
        tile = Image.new(mode, TILE)
        tile.paste(image.convert(mode))
    if width < TILE.width:
        column = tile.crop((width - 1, 0, width, height))
        tile.paste(column.resize((TILE.width - width, height)), (width, 0))
    if height < TILE.height:
        row = tile.crop((0, height - 1, TILE.width, height))
        tile.paste(row.resize((TILE.width, TILE.height - height)), (0, height))
    subsampling = next((key for key, value in _SUBSAMPLINGS.items() if value == layout.sampling), 0)
    out = BytesIO()
    tile.save(out, "JPEG", quality=settings.jpeg_quality, subsampling=subsampling)
    return out.getvalue()
