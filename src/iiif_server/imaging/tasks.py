"""What crosses the border between the server process and a worker: frozen, picklable values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.decoding import Decoding

RENDER_VERSION = 7
"""Part of every cache key: raise it when the same request would give other bytes."""


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """Every configured value that changes the pixels or bytes of a derivative; all of it is in the cache key.

    Attributes:
        jpeg_quality: 1 to 100.
        jpeg_progressive: whether JPEGs come in several scans, from coarse to fine.
        jpeg_subsampling: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        png_compression: zlib level, 0 to 9.
        webp_quality: 1 to 100.
        webp_effort: 0 to 6, higher is slower and smaller.
        avif_quality: 1 to 100.
        avif_effort: 0 to 6, higher is slower and smaller.
        jp2_quality: 1 to 100, which is lossless.
        tif_compression: ``deflate``, ``lzw`` or ``none``.
        background: what transparent pixels lie on in formats without alpha, as red, green, blue.
        keep_metadata: whether the source's metadata goes into the derivative.
        lossless: whether JPEG sources may be cropped, turned and grayed without decoding.
    """

    jpeg_quality: int = 85
    jpeg_progressive: bool = False
    jpeg_subsampling: int = 2
    png_compression: int = 3
    webp_quality: int = 80
    webp_effort: int = 2
    avif_quality: int = 60
    avif_effort: int = 0
    jp2_quality: int = 65
    tif_compression: str = "deflate"
    background: tuple[int, int, int] = (255, 255, 255)
    keep_metadata: bool = False
    lossless: bool = True


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a source may be at most, so that no file exhausts a worker.

    Attributes:
        max_pixels: width times height of a source that has to be decoded whole.
        max_bytes: the file's size.
        max_jpeg_scans: scans of a progressive JPEG; each costs a pass over all its coefficients.
    """

    max_pixels: int = 250_000_000
    max_bytes: int = 4 * 1024**3
    max_jpeg_scans: int = 100


@dataclass(frozen=True, slots=True)
class WorkbenchSettings:
    """What a worker is told once, at its start.

    Attributes:
        limits: what a source may be.
        open_sources: how many sources stay open at once.
        decoded_bytes: budget of decoded pixels kept for the next tile of the same source, in bytes.
    """

    limits: SourceLimits = field(default_factory=SourceLimits)
    open_sources: int = 5
    decoded_bytes: int = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source as a worker opens it: a local path, and the version that its bytes are known under.

    Attributes:
        path: absolute.
        version: of the bytes.
        page: of a file that holds several, from 1.
    """

    path: str
    version: str
    page: int = 1


@dataclass(frozen=True, slots=True)
class RenderTask:
    """Make one derivative.

    Attributes:
        source: what it is made of.
        operation: what is done.
        settings: how.
        is_alone: whether its neighbours are not asked for, so that nothing is prepared for them; the bytes
            are the same.
    """

    source: SourceFile
    operation: Operation
    settings: RenderSettings
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class PyramidTask:
    """Build a pyramid of a source.

    Attributes:
        source: what it is made of.
        settings: how its tiles are made.
        target: path of the empty file to write.
        inode: of that file: another one under its name belongs to somebody else.
        max_bytes: what the file may take.
    """

    source: SourceFile
    settings: RenderSettings
    target: str
    inode: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class SourceProperties:
    """What a look at a source's header tells.

    Attributes:
        width: of the upright image, after the stored orientation was applied, in pixels.
        height: the same.
        media_type: of the stored file, found from its bytes, never from its name.
        has_color: whether gray is less than what there is.
        resolution: pixels per inch of the upright image, if the file tells one for both axes.
        tile: the size of tile of the upright image that comes cheapest, where the file is stored in tiles.
        decoding: what decoding it takes.
    """

    width: int
    height: int
    media_type: str
    has_color: bool
    resolution: float | None = None
    tile: Dimensions | None = None
    decoding: Decoding | None = None

    @property
    def size(self) -> Dimensions:
        """Width and height."""
        return Dimensions(self.width, self.height)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object: what comes out of a worker is never unpickled."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        resolution, tile, decoding = data.get("resolution"), data.get("tile"), data.get("decoding")
        return cls(
            int(data["width"]),
            int(data["height"]),
            str(data["media_type"]),
            bool(data["has_color"]),
            None if resolution is None else float(resolution),
            None if tile is None else Dimensions(int(tile[0]), int(tile[1])),
            None if decoding is None else Decoding.from_json(decoding),
        )
