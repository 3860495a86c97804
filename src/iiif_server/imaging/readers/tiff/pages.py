"""Which directories of a TIFF are pages, and which are smaller levels of a page (TIFF 6.0 section 7)."""

from __future__ import annotations

from collections.abc import Iterator

from tifffile import TiffFile, TiffPage

from iiif_server.errors import ImageNotFound

_REDUCED, _MASK = 1, 4
_MAX_DIRECTORIES = 10_000
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32946, 32773, 33003, 33005, 34712, 34925, 50000, 50001})
"""None, CCITT RLE, G3 and G4, LZW, old and new JPEG, deflate, PackBits, JPEG 2000, LZMA, ZSTD, WebP."""
_JPEG = frozenset({6, 7})
_BITS = frozenset({1, 2, 4, 8, 10, 12, 14, 16, 32, 64})
_SAMPLES = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}
"""Colour channels by photometric interpretation: white or black is zero, RGB, palette, CMYK, YCbCr, Lab."""
_COLOURS = frozenset({2, 6})


def find_levels(tiff: TiffFile, number: int) -> dict[int, TiffPage]:
    """A page and its smaller levels, each by the factor by which it is smaller; the page itself is 1.

    Levels are what is marked as a reduced resolution, in the directories after the page or in its SubIFDs,
    and tiled directories after a tiled page, if they have its size divided by a whole number.

    Args:
        tiff: an open file.
        number: of the page, from 1.

    Raises:
        ImageNotFound: there is no such page.
    """
    groups = _groups(tiff)
    for _ in range(number - 1):
        next(groups, None)
    group = next(groups, None)
    if group is None:
        raise ImageNotFound("The source image has no such page.", log=f"{tiff.filename}: no page {number}")
    page = group[0]
    found = {1: page}
    for other in (*group[1:], *_directories(page.pages or ())):
        factor = _factor(page, other)
        if factor is not None and factor not in found and can_decode(other):
            found[factor] = other
    return found


def can_decode(page: TiffPage) -> bool:
    """Tell whether this page's samples are of a kind that is understood here."""
    channels = _SAMPLES.get(int(page.photometric), 0)
    return (
        int(page.compression) in _COMPRESSIONS
        and page.dtype is not None
        and page.dtype.kind in "buif"
        and page.bitspersample in _BITS
        and 0 < channels <= page.samplesperpixel
        and page.imagedepth == 1
        and not (page.is_subsampled and page.compression not in _JPEG)
    )


def _groups(tiff: TiffFile) -> Iterator[list[TiffPage]]:
    """Each page, followed by what belongs to it."""
    group: list[TiffPage] = []
    for page in _directories(tiff.pages):
        if group and not _belongs(page, group[0]):
            yield group
            group = []
        group.append(page)
    if group:
        yield group


def _belongs(page: TiffPage, first: TiffPage) -> bool:
    if page.subfiletype & (_REDUCED | _MASK):
        return True
    return page.is_tiled and first.is_tiled and _factor(first, page) is not None


def _directories(pages: object) -> Iterator[TiffPage]:
    for index in range(_MAX_DIRECTORIES):
        try:
            page = pages[index]  # type: ignore[index]
        except IndexError:
            return
        if isinstance(page, TiffPage):
            yield page


def _factor(page: TiffPage, level: TiffPage) -> int | None:
    """By how much a level is smaller than its page, in the whole numbers that viewers zoom by."""
    if not level.imagewidth or not level.imagelength or level.subfiletype & _MASK:
        return None
    alike = page.photometric == level.photometric or {page.photometric, level.photometric} <= _COLOURS
    kinds = ((side.samplesperpixel, side.bitspersample, side.sampleformat) for side in (page, level))
    if not alike or len(set(kinds)) > 1:
        return None
    factor = round(max(page.imagewidth / level.imagewidth, page.imagelength / level.imagelength))
    fits = (
        abs(whole / factor - part) < 1
        for whole, part in (
            (page.imagewidth, level.imagewidth),
            (page.imagelength, level.imagelength),
        )
    )
    return factor if factor > 1 and all(fits) else None
