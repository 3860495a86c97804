"""The collection of real images: who else reads each, and how near to that this server has to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.matrix import independent
from tests.matrix.arithmetic import Pixels
from tests.matrix.independent import by_libvips, by_libvips_shrunk, by_openjpeg
from tests.support.paths import SHARED_IMAGES

Read = Callable[[Path], Pixels]


class Bound(NamedTuple):
    """How far from the reference an answer may be, in levels of 255: on average, and anywhere."""

    mean: float
    largest: int
    why: str


class Scaling(NamedTuple):
    """How far from Lanczos a part that is scaled down may be, in levels of 255.

    Attributes:
        quarter: on average, of a quarter of the size.
        odd: on average, of a size between the levels.
        largest: anywhere.
        why: this is so.
        in_place: whether a pixel is less than a quarter of a pixel off its place.
    """

    quarter: float
    odd: float
    largest: int
    why: str
    in_place: bool = True


SAME = Bound(0, 0, "nothing is lost, or two builds of one decoder do the same arithmetic")
PROFILE = Bound(0.02, 1, "two builds of LittleCMS round differently")
AVIF = Bound(0.2, 1, "two libraries go from YCbCr to RGB, which round differently")
SIXTEEN = Bound(0.6, 2, "the profile is applied to the high byte, in the reference to 16 bits")
LAB = Bound(0.65, 12, "CIELab goes through 8 bits on its way, in the reference it does not")

AVERAGED = Scaling(
    1.35, 0.6, 30, "averaged to twice the size or more, then Lanczos; the reference is Lanczos alone"
)
PATTERNS = Scaling(2.8, 1.2, 32, "the same, where neighbours differ throughout: dithering, thin lines")
SHRUNK = Scaling(4.5, 3, 64, "libjpeg shrinks by 2, 4 or 8 as it decodes, and gives sharper pixels")
DETAILS = Scaling(8.3, 3, 60, "the same, of few pixels that are full of detail, or of four inks")
WAVELETS = Scaling(
    3.5, 2.8, 130, "JPEG 2000 keeps every second pixel of a filtered image: half a pixel off", False
)
LETTERS = Scaling(14.5, 14, 107, "the same, of fine black print and of a colour target", False)
STORED = Scaling(8.4, 5.5, 125, "smaller levels as their maker stored them")
CHOSEN = Scaling(18, 0.2, 251, "the same, where the maker chose single pixels", False)


def stored_levels(*factors: int, read: Callable[..., Pixels] = by_libvips) -> dict[int, Read]:
    """The pages of a TIFF after its first, by the factor by which each is smaller."""
    return {factor: partial(read, page=page) for page, factor in enumerate(factors, 1)}


BY_LIBJPEG: dict[int, Read] = {2: partial(by_libvips_shrunk, factor=2)}
HALVED: dict[int, Read] = {factor: partial(by_libvips_shrunk, factor=factor // 2) for factor in (4, 8)}
"""What libjpeg gives is halved once more by Lanczos, to which it leaves something to do."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file of the collection.

    Attributes:
        name: of the file.
        read: decodes it to upright sRGB, by other means than the server's.
        exact: how near a part at full size has to be.
        scaled: how near a part scaled down has to be to Lanczos.
        levels: the smaller levels that the decoder gives or the file stores, by factor; answers have to be
            exactly these.
        drift: by how much, on average, the whole at a level's size may differ from its tiles. Where nobody
            gives the level and its size was rounded up, the whole is stretched by less than a pixel.
    """

    name: str
    read: Read = by_libvips
    exact: Bound = SAME
    scaled: Scaling = AVERAGED
    levels: Mapping[int, Read] = field(default_factory=dict)
    drift: float = 0

    @property
    def path(self) -> Path:
        """Where it is, if it is."""
        return SHARED_IMAGES / self.name


def jpeg(name: str, exact: Bound = SAME, scaled: Scaling = SHRUNK, drift: float = 0) -> Subject:
    """A JPEG file, whatever it is called."""
    return Subject(name, exact=exact, scaled=scaled, levels=BY_LIBJPEG, drift=drift)


def jp2(name: str, scaled: Scaling, drift: float = 0) -> Subject:
    """A gray or RGB JPEG 2000 file without a profile."""
    return Subject(name, by_openjpeg, scaled=scaled, drift=drift)


SUBJECTS = (
    Subject("avif-icc.avif", exact=AVIF, scaled=PATTERNS),
    Subject("avif-photo.avif", exact=AVIF),
    jpeg("bad-exif.jpg"),
    jpeg("bad-ext-jpeg-as.jp2", drift=1),
    jpeg("bad-ext-jpeg-as.png", scaled=DETAILS),
    jpeg("bad-jpeg-app14.jpg"),
    Subject("bad-jpeg-corrupted.jpg", independent.by_imagecodecs_jpeg, scaled=SHRUNK),
    jpeg("exif-landscape-2.jpg"),
    jpeg("exif-landscape-3.jpg"),
    jpeg("exif-landscape-5.jpg"),
    jpeg("exif-landscape-6.jpg"),
    jpeg("exif-landscape-8.jpg"),
    jpeg("exif-long-description.jpg", scaled=DETAILS),
    jpeg("exif-portrait-1.jpg"),
    jpeg("exif-portrait-8.jpg"),
    Subject("gif-animated.gif", scaled=PATTERNS),
    Subject("gif-palette.gif", scaled=PATTERNS),
    Subject("heic-phone.heic", independent.by_libheif, PROFILE, drift=2),
    Subject("jp2-cielab.jp2", independent.by_openjpeg_lab, LAB),
    jp2("jp2-conformance-file4.jp2", LETTERS),
    jp2("jp2-lossy-tiled.jp2", WAVELETS),
    jp2("jp2-newspaper.jp2", LETTERS, drift=8),
    Subject("jp2-sycc420.jp2", by_openjpeg),
    jp2("jp2-world.jp2", WAVELETS),
    jpeg("jpeg-cmyk-icc.jpg", PROFILE, DETAILS),
    jpeg("jpeg-cmyk-noicc.jpg", scaled=DETAILS),
    jpeg("jpeg-icc-chunked.jpg", PROFILE, DETAILS),
    jpeg("jpeg-icc-p3.jpg", PROFILE),
    jpeg("jpeg-mpo.mpo"),
    jpeg("medical-retina.jpg"),
    Subject("microscopy-rgb.png"),
    jpeg("photo-baseline-12mp.jpg"),
    Subject("photo-coffee.png"),
    jpeg("photo-progressive-12mp.jpg"),
    Subject("png-16bit-gray-alpha.png"),
    Subject("png-16bit-rgba.png"),
    Subject("png-colour-chart.png", exact=PROFILE),
    Subject("png-palette.png"),
    Subject("png-rgba-paper.png"),
    jpeg("science-hubble.jpg", PROFILE),
    Subject("tiff-16bit-rgba.tiff", exact=SIXTEEN),
    Subject("tiff-bigtiff-tiled.tif"),
    Subject("tiff-bw-9pages.tif", drift=0.5),
    Subject("tiff-cielab.tiff", exact=LAB),
    Subject("tiff-deflate.tif", scaled=PATTERNS),
    Subject("tiff-float32.tiff", independent.from_floats),
    Subject("tiff-g3-multipage.tif"),
    Subject("tiff-lzw-scan.tif"),
    Subject("tiff-ojpeg.tif", independent.from_old_jpeg),
    Subject("tiff-orientation-6.tif"),
    Subject(
        "tiff-overviews-planar.tif",
        scaled=CHOSEN,
        levels=stored_levels(2, 4, 8, 16, read=independent.by_libtiff),
    ),
    Subject("tiff-painting.tif", exact=PROFILE, scaled=STORED, levels=stored_levels(2, 4, 8, 16, 32)),
    Subject("tiff-pyramid-tiled-16bit.tif", exact=PROFILE, scaled=STORED, levels=stored_levels(2, 4)),
    Subject("tiff-tiled-jpeg-ycbcr.tif"),
    jp2("validator.jp2", WAVELETS),
    Subject("validator.png"),
    Subject("validator.tif", scaled=STORED, levels=stored_levels(2, 4)),
    Subject("webp-alpha.webp"),
    Subject("webp-animated.webp"),
)
"""Every file but those that are damaged beyond reading; ``tests/imaging/test_untrusted.py`` has these."""
