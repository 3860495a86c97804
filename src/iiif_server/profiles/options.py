"""What may be set for every profile, whatever its type, and the field types that options are made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from iiif_server.profiles.derivatives import DerivativeOverrides
from iiif_server.profiles.linking import LinkOptions

_UNITS = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_BYTES = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) *([A-Za-z]{1,3})")


def parse_byte_size(value: object) -> int:
    """Read a number of bytes: a whole number, or text with a unit such as ``512 MiB`` or ``10GB``.

    Raises:
        ValueError: it is neither, or negative.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _BYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError("want a number of bytes, or one with a unit such as '512 MiB' or '10 GB'")
    size = round(float(match[1]) * _UNITS[match[2].lower()])
    if size >= 2**63:
        raise ValueError("want fewer bytes than any disk has")
    return size


def format_byte_size(value: int) -> str:
    """Write a number of bytes with the largest unit that it is a short multiple of."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        size = _UNITS[unit.lower()]
        if size <= value < 10_000 * size and value * 4 % size == 0:
            return f"{value / size:g} {unit}"
    return str(value)


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


ByteSize = Annotated[
    int,
    BeforeValidator(parse_byte_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? *[KMGTkmgt]?[Ii]?[Bb]\s*$"},
            ],
            "x-type": "bytes",
        }
    ),
]
"""A number of bytes that people may write with a unit."""

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
"""From which level on something is logged, in any case."""


def anchor_path(path: Path, context: object) -> Path:
    """Expand ``~``, and make a relative path start at the configuration file's directory.

    Args:
        path: as it was written.
        context: the validation context; its ``base`` is that directory. Without one, the path stays relative.

    Raises:
        ValueError: there is no such user, or no file can have this path.
    """
    if "\0" in str(path):
        raise ValueError("want a path without a null character")
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError("want a path whose '~' stands for a known home directory") from None
    base = context.get("base") if isinstance(context, dict) else None
    return Path(base) / path if base is not None else path


def _anchored(value: object, context: object) -> object:
    """An option's value with every path in it anchored, also those in lists and mappings."""
    if isinstance(value, Path):
        return anchor_path(value, context)
    if isinstance(value, dict):
        return {key: _anchored(item, context) for key, item in value.items()}
    if isinstance(value, list | set | frozenset) or type(value) is tuple:
        return type(value)(_anchored(item, context) for item in value)
    return value


class BasicOptions(BaseModel):
    """Whose the images are, and how they are looked up and cached."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    rights: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="The `rights` of this profile's images in info.json. The specification wants the URI "
        "of a Creative Commons licence or a RightsStatements.org statement.",
        examples=["http://creativecommons.org/licenses/by/4.0/"],
    )
    info_json_cache_size: int = Field(
        default=1000,
        ge=0,
        description="How many images' info is kept in memory for `info.json` and for image requests; "
        "0 keeps none.",
    )
    log_level: LogLevel = Field(
        default="WARNING", description="From which level on this profile's messages are logged."
    )
    cache_for: int = Field(
        default=0,
        ge=0,
        description="Seconds for which clients and proxies may use an answer without asking again "
        "(`Cache-Control: max-age`).",
    )
    source_check_interval: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Seconds for which an image's info is used before the profile is asked again whether the "
        "source changed.",
    )


class ProfileOptions(LinkOptions, DerivativeOverrides, BasicOptions):
    """The options that every profile has. A profile type adds its own in a subclass.

    Give every field a ``description``: it is shown in the reference and the JSON Schema. The name ``type`` is
    taken, it names the profile type.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse an option that the configuration file has no room for."""
        super().__pydantic_init_subclass__(**kwargs)
        if "type" in cls.model_fields:
            raise TypeError(
                f"{cls.__qualname__}: an option can't be called 'type', which names the profile type"
            )

    @field_validator("*")
    @classmethod
    def _anchor_paths(cls, value: object, info: ValidationInfo) -> object:
        return _anchored(value, info.context)
