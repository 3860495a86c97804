"""Which levels of a TIFF are stored as JPEG tiles that mean the same outside of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import ceil

from tifffile import TiffPage

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.colour import is_srgb
from iiif_server.imaging.splice import shared_tables
from iiif_server.imaging.tiles import COUNT, OFFSET, TileLevel

_JPEG, _CONTIGUOUS = 7, 1
_BLACK_IS_ZERO, _RGB, _YCBCR = 1, 2, 6
_COMPONENTS = {_BLACK_IS_ZERO: 1, _RGB: 3, _YCBCR: 3}
_SUBSAMPLING, _DEFAULT_SUBSAMPLING = 530, (2, 2)
_LARGEST_TILE = 4096
_MAX_TABLES = 64 << 10
_MAX_BYTES_PER_PIXEL = 12
_MAX_BYTES_BESIDES = 64 << 10
_LARGEST_OFFSET = 2**63


def tile_levels(levels: Mapping[int, TiffPage], profile: bytes | None) -> tuple[TileLevel, ...]:
    """The levels whose tiles may be passed on, ascending by their factors.

    Args:
        levels: by the factor by which each is smaller.
        profile: the image's ICC profile; tiles that would have to be converted are not passed on.
    """
    found = (_tile_level_or_none(factor, page) for factor, page in sorted(levels.items()))
    copied = tuple(level for level in found if level is not None)
    if copied and not is_srgb(profile, "L" if copied[0].components == 1 else "RGB"):
        return ()
    return copied


def _tile_level_or_none(factor: int, page: TiffPage) -> TileLevel | None:
    try:
        return _tile_level(factor, page)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - tifffile lets out anything over a damaged tag; tiles are then decoded
        return None


def _tile_level(factor: int, page: TiffPage) -> TileLevel | None:
    photometric = int(page.photometric)
    tables = b"" if page.jpegtables is None else shared_tables(page.jpegtables[:_MAX_TABLES])
    if tables is None or not _is_plain(page):
        return None
    is_rgb = photometric == _RGB
    # A file may say RGB over tiles that say JFIF, which is YCbCr: decoders believe the tiles.
    believed = not (is_rgb and page.is_jfif)
    size, tile = Dimensions(page.imagewidth, page.imagelength), Dimensions(page.tilewidth, page.tilelength)
    count = ceil(size.width / tile.width) * ceil(size.height / tile.height)
    if len(page.dataoffsets) < count or len(page.databytecounts) < count:
        return None
    most = _MAX_BYTES_BESIDES + _MAX_BYTES_PER_PIXEL * tile.width * tile.height
    offsets = (offset if 0 <= offset < _LARGEST_OFFSET else 0 for offset in page.dataoffsets[:count])
    counts = (length if 0 < length <= most else 0 for length in page.databytecounts[:count])
    return TileLevel(
        factor,
        size,
        tile,
        _mcu(page),
        _COMPONENTS[photometric],
        is_rgb and believed,
        tables,
        array(OFFSET, offsets),
        array(COUNT, counts),
    )


def _is_plain(page: TiffPage) -> bool:
    """Tell whether a page's tiles are JPEG streams of 8 bits that nothing else is needed for."""
    return (
        page.is_tiled
        and int(page.compression) == _JPEG
        and int(page.planarconfig or _CONTIGUOUS) == _CONTIGUOUS
        and page.bitspersample == 8
        and page.samplesperpixel == _COMPONENTS.get(int(page.photometric))
        and not page.extrasamples
        and page.jpegheader is None
        and max(page.tilewidth, page.tilelength) <= _LARGEST_TILE
    )


def _mcu(page: TiffPage) -> Dimensions:
    """The grid of coded units, as the file tells it (TIFF 6.0 section 21); RGB is not subsampled."""
    if int(page.photometric) != _YCBCR:
        return Dimensions(8, 8)
    tag = page.tags.get(_SUBSAMPLING)
    across, down = _DEFAULT_SUBSAMPLING if tag is None else tag.value
    if not {across, down} <= {1, 2, 4}:
        raise ValueError("chroma is subsampled by an impossible factor")
    return Dimensions(8 * across, 8 * down)
