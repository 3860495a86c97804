"""What may be said of derivatives: at the top level for all profiles, and in a profile for its own images."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.tasks import RenderSettings

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
TifCompression = Literal["deflate", "lzw", "none"]
Metadata = Literal["strip", "keep"]
Pyramids = Literal["never", "ahead", "on_demand"]

_SUBSAMPLINGS: dict[Subsampling, int] = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
_PASSED_ON = "JPEG data that is passed on without decoding stays as it is."


def _check_colour(value: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("want a colour as '#rrggbb'")
    return value.lower()


def _check_distinct(value: tuple[Format, ...]) -> tuple[Format, ...]:
    if len(set(value)) < len(value):
        raise ValueError("want each format once")
    return value


Colour = Annotated[str, AfterValidator(_check_colour)]
Formats = Annotated[tuple[Format, ...], AfterValidator(_check_distinct)]

# Each key's meaning and bounds, once for both places where it may stand.
_JPEG_QUALITY = Field(
    ge=1,
    le=100,
    description=f"The quality of JPEGs that are encoded, from 1 to 100; also of those in PDFs. {_PASSED_ON}",
)
_JPEG_PROGRESSIVE = Field(
    description="Write JPEGs that come in several passes, from coarse to fine: up to a tenth fewer bytes for "
    f"about six times the work of encoding. {_PASSED_ON}"
)
_JPEG_SUBSAMPLING = Field(
    description="How finely JPEGs hold colour: at every pixel (`4:4:4`), at every other one across (`4:2:2`) "
    f"or at every other one across and down (`4:2:0`). {_PASSED_ON}"
)
_PNG_COMPRESSION = Field(
    ge=0, le=9, description="How hard PNGs are compressed: from 0, not at all, to 9, slowest and smallest."
)
_WEBP_QUALITY = Field(ge=1, le=100, description="The quality of WebP files that are encoded, from 1 to 100.")
_WEBP_EFFORT = Field(
    ge=0, le=6, description="The work that goes into WebP files: from 0, fastest, to 6, smallest."
)
_AVIF_QUALITY = Field(ge=1, le=100, description="The quality of AVIF files that are encoded, from 1 to 100.")
_AVIF_EFFORT = Field(
    ge=0,
    le=6,
    description="The work that goes into AVIF files: from 0, fastest, to 6, smallest. From 4 on, a "
    "tile takes seconds.",
)
_JP2_QUALITY = Field(
    ge=1,
    le=100,
    description="The quality of JPEG 2000 files, from 1 to 100. 100 is lossless; below, every image gets "
    "about the peak signal-to-noise ratio of 20 decibels and a quarter of the quality.",
)
_TIF_COMPRESSION = Field(
    description="How TIFFs are compressed, always without loss: `deflate`, `lzw` (larger, several times as "
    "fast) or `none`. Bitonal ones are always Group 4."
)
_BACKGROUND = Field(
    description="The colour that transparent pixels lie on in formats without transparency, as `#rrggbb`."
)
_METADATA = Field(
    description="What images carry besides pixels: nothing (`strip`), or rights and credit of the source "
    "(`keep`)."
)
_PREFERRED_FORMATS = Field(
    description="The formats that clients should ask for, best first, as info.json (version 3) states them. "
    "Those that the installed codecs can't write are left out.",
    examples=[["webp", "jpg"]],
)
_MAX_WIDTH = Field(
    ge=1,
    description="The largest width of an image that is served, in pixels; it holds for the height as well if "
    "there is no `max_height`.",
)
_MAX_HEIGHT = Field(
    ge=1, description="The largest height of an image that is served, in pixels. Needs `max_width`."
)
_MAX_AREA = Field(
    ge=1,
    description="The largest area of an image that is served, in pixels; at the top level, `null` is no "
    "limit.",
)
_PYRAMIDS = Field(
    description="Whether tiles of large sources that are not stored in tiles are kept in pyramids: of "
    "every source whose tiles are asked for (`on_demand`), of sources that `iiif-server pyramids build` went "
    "through (`ahead`), or `never`."
)
_PYRAMID_MIN_PIXELS = Field(ge=1, description="The fewest pixels of a source that gets a pyramid.")


class DerivativeOptions(BaseModel):
    """What holds for the derivatives of every profile that says nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    jpeg_quality: Annotated[int, _JPEG_QUALITY] = 85
    jpeg_progressive: Annotated[bool, _JPEG_PROGRESSIVE] = False
    jpeg_subsampling: Annotated[Subsampling, _JPEG_SUBSAMPLING] = "4:2:0"
    png_compression: Annotated[int, _PNG_COMPRESSION] = 3
    webp_quality: Annotated[int, _WEBP_QUALITY] = 80
    webp_effort: Annotated[int, _WEBP_EFFORT] = 2
    avif_quality: Annotated[int, _AVIF_QUALITY] = 60
    avif_effort: Annotated[int, _AVIF_EFFORT] = 0
    jp2_quality: Annotated[int, _JP2_QUALITY] = 65
    tif_compression: Annotated[TifCompression, _TIF_COMPRESSION] = "deflate"
    background: Annotated[Colour, _BACKGROUND] = "#ffffff"
    metadata: Annotated[Metadata, _METADATA] = "strip"
    preferred_formats: Annotated[Formats, _PREFERRED_FORMATS] = ()
    max_width: Annotated[int | None, _MAX_WIDTH] = None
    max_height: Annotated[int | None, _MAX_HEIGHT] = None
    max_area: Annotated[int | None, _MAX_AREA] = 100_000_000
    pyramids: Annotated[Pyramids, _PYRAMIDS] = "never"
    pyramid_min_pixels: Annotated[int, _PYRAMID_MIN_PIXELS] = 16_000_000

    # A check across fields belongs to one of them, so that it is told beside all other mistakes.
    @field_validator("max_height")
    @classmethod
    def _needs_max_width(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("max_width", 0) is None:
            raise PydanticCustomError("needs_other", "works only together with max_width; set that as well")
        return value

    @property
    def limits(self) -> Limits:
        """The largest result that is made."""
        return Limits(self.max_width, self.max_height, self.max_area)

    @property
    def render_settings(self) -> RenderSettings:
        """Everything that changes the pixels or bytes of derivatives, and nothing else."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return RenderSettings(
            jpeg_quality=self.jpeg_quality,
            jpeg_progressive=self.jpeg_progressive,
            jpeg_subsampling=_SUBSAMPLINGS[self.jpeg_subsampling],
            png_compression=self.png_compression,
            webp_quality=self.webp_quality,
            webp_effort=self.webp_effort,
            avif_quality=self.avif_quality,
            avif_effort=self.avif_effort,
            jp2_quality=self.jp2_quality,
            tif_compression=self.tif_compression,
            background=(red, green, blue),
            keep_metadata=self.metadata == "keep",
        )


class DerivativeOverrides(BaseModel):
    """The same in a profile, where ``None`` is what holds for every profile."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    jpeg_quality: Annotated[int | None, _JPEG_QUALITY] = None
    jpeg_progressive: Annotated[bool | None, _JPEG_PROGRESSIVE] = None
    jpeg_subsampling: Annotated[Subsampling | None, _JPEG_SUBSAMPLING] = None
    png_compression: Annotated[int | None, _PNG_COMPRESSION] = None
    webp_quality: Annotated[int | None, _WEBP_QUALITY] = None
    webp_effort: Annotated[int | None, _WEBP_EFFORT] = None
    avif_quality: Annotated[int | None, _AVIF_QUALITY] = None
    avif_effort: Annotated[int | None, _AVIF_EFFORT] = None
    jp2_quality: Annotated[int | None, _JP2_QUALITY] = None
    tif_compression: Annotated[TifCompression | None, _TIF_COMPRESSION] = None
    background: Annotated[Colour | None, _BACKGROUND] = None
    metadata: Annotated[Metadata | None, _METADATA] = None
    preferred_formats: Annotated[Formats | None, _PREFERRED_FORMATS] = None
    max_width: Annotated[int | None, _MAX_WIDTH] = None
    max_height: Annotated[int | None, _MAX_HEIGHT] = None
    max_area: Annotated[int | None, _MAX_AREA] = None
    pyramids: Annotated[Pyramids | None, _PYRAMIDS] = None
    pyramid_min_pixels: Annotated[int | None, _PYRAMID_MIN_PIXELS] = None

    @field_validator("max_height")
    @classmethod
    def _needs_max_width(cls, value: int | None, info: ValidationInfo) -> int | None:
        defaults = info.context.get("defaults") if isinstance(info.context, dict) else None
        if value is None or info.data.get("max_width", 0) is not None:
            return value
        if isinstance(defaults, DerivativeOptions) and defaults.max_width is None:
            raise PydanticCustomError(
                "needs_other", "works only together with max_width; set that here or at the top level as well"
            )
        return value


def effective(defaults: DerivativeOptions, overrides: DerivativeOverrides) -> DerivativeOptions:
    """What holds for the derivatives of one profile: its own word, or else that of the top level.

    Raises:
        ValidationError: the limits that this gives don't fit together.
    """
    chosen = {
        name: getattr(defaults, name) if own is None else own
        for name in DerivativeOptions.model_fields
        for own in [getattr(overrides, name)]
    }
    return DerivativeOptions(**chosen)
