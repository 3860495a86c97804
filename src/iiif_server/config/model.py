"""What may be configured: every key with its type, its default and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from platformdirs import user_cache_path, user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from iiif_server.config.values import BaseUrl, Positive, TrustedNetwork
from iiif_server.profiles.derivatives import DerivativeOptions, effective
from iiif_server.profiles.options import ByteSize, LogLevel, ProfileOptions, anchor_path, format_byte_size

APPLICATION = "iiif-server"
WORKER_NEEDS = 128 * 1024**2
"""Bytes of memory that a worker needs besides the pixels it keeps."""

LIGHT_WORK = 64 * 1024**2
"""Bytes of memory that a worker has for light work, whatever the others do."""

PROFILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class ConfiguredProfile(BaseModel):
    """One entry of ``profiles``, checked against the options of its type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, StringConstraints(pattern=PROFILE_NAME)]
    type: str
    options: SerializeAsAny[ProfileOptions]


class ServerSettings(BaseModel):
    """Where and how the server runs, and what it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    base_url: BaseUrl | None = Field(
        default=None,
        description="The public address of this server, with the path it is mounted at, as info.json states "
        "it. Without it, the address is derived from each request.",
        examples=["https://images.example.org/iiif"],
    )
    trusted_proxies: tuple[TrustedNetwork, ...] = Field(
        default=(),
        description="Addresses and networks of the proxies whose `X-Forwarded-*` headers are believed.",
    )
    source_path: Path = Field(
        default_factory=lambda: user_data_path(APPLICATION, appauthor=False) / "source",
        description="Directory below which each profile has one for its source images, named like the "
        "profile.",
        json_schema_extra={"x-default": f"~/.local/share/{APPLICATION}/source"},
    )
    cache_path: Path = Field(
        default_factory=lambda: user_cache_path(APPLICATION, appauthor=False),
        description="Directory of everything that can be made again, such as derivative images.",
        json_schema_extra={"x-default": f"~/.cache/{APPLICATION}"},
    )
    default_profile: str | None = Field(
        default=None,
        description="The profile that an identifier without a profile name belongs to: with "
        "`default_profile: abc`, `/1` is `/abc:1`.",
    )
    default_api_version: Literal[2, 3] = Field(
        default=3,
        description="The version of the Image API at `/{identifier}/…`. Both have a path of their own.",
    )
    gallery: bool = Field(default=False, description="List images on the start page.")
    log_level: LogLevel = Field(
        default="INFO", description="From which level on the server's messages are logged."
    )
    log_format: Literal["human", "json"] = Field(
        default="human", description="How log lines are written: for people, or as one JSON object each."
    )
    access_log: bool = Field(
        default=False, description="Log every request with its answer, whatever `log_level` says."
    )
    server_timing: bool = Field(
        default=True,
        description="Tell clients that ask by `?timing` how long each step took (`Server-Timing`).",
    )

    min_sizes_size: Positive = Field(
        default=200, description="The shortest side, in pixels, of the `sizes` that info.json lists."
    )
    thumbnail_width: Positive = Field(default=512, description="The largest width of thumbnails, in pixels.")
    preview_width: Positive = Field(default=2048, description="The largest width of previews, in pixels.")

    image_pool_size: Positive = Field(
        default=2, le=1024, description="The number of worker processes that do the image work."
    )
    image_cache_size_per_process: Positive = Field(
        default=5, description="How many sources each worker process keeps open for the next request."
    )
    image_cache_bytes_per_process: ByteSize = Field(
        default=512 * 1024**2,
        description="Bytes of decoded pixels that each worker process keeps for the next request.",
    )
    image_worker_max_memory: ByteSize = Field(
        default=1536 * 1024**2,
        validate_default=True,
        description="Bytes of memory above which a worker process is replaced once its task is done. Must be "
        "at least 128 MiB more than `image_cache_bytes_per_process`.",
    )
    image_memory_budget: ByteSize | None = Field(
        default=None,
        description="Bytes of memory that all worker processes together may take for image work and for what "
        "they keep for the next request. What does not fit at the moment waits; what never fits is refused "
        "(413). `null` is half of the memory that the server may use.",
    )
    image_timeout: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Seconds that one piece of image work may take before its worker process is ended and "
        "replaced.",
    )
    image_queue_size: Positive | None = Field(
        default=None,
        description="How many pieces of image work may wait; beyond it, requests are answered with 503. "
        "`null` is 32, and 4 more for each worker process.",
    )
    max_source_pixels: Positive = Field(
        default=250_000_000, description="The most pixels of a source image that has to be decoded whole."
    )
    max_source_bytes: ByteSize = Field(
        default=4 * 1024**3, description="The most bytes that the file of a source image may have."
    )

    memory_cache_size: ByteSize = Field(
        default=128 * 1024**2,
        description="Bytes of finished images kept in the server's memory; 0 keeps none.",
    )
    tile_index_cache_size: ByteSize = Field(
        default=32 * 1024**2,
        description="Bytes of memory for where the tiles of pyramidal TIFFs lie, so that the server copies "
        "them itself; with 0 the worker processes do.",
    )
    disk_cache_size: ByteSize = Field(
        default=10 * 1024**3,
        description="Bytes of finished images kept below `cache_path`, the least recently used being removed "
        "first; 0 keeps none.",
    )
    pyramid_cache_size: ByteSize = Field(
        default=20 * 1024**3,
        description="Bytes of pyramids kept below `cache_path`, the least recently used being removed first; "
        "0 keeps none.",
    )
    pyramid_timeout: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Seconds that the building of one pyramid may take.",
    )
    download_chunk_size: Positive = Field(
        default=4096, description="Bytes that are read at a time while an original is sent."
    )
    download_max_files: Positive = Field(
        default=20, description="How many originals one zip download may hold."
    )

    download_max_size: ByteSize = Field(
        default=2 * 1024**3,
        description="Bytes that the originals of one zip download may have together; 0 is no limit.",
    )
    download_max_parallel: Positive = Field(
        default=8,
        description="How many zip downloads may be under way at the same time; beyond it, they are answered "
        "with 503.",
    )
    send_timeout: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="Seconds for which a client may take nothing of an answer before its connection is "
        "ended.",
    )

    max_connections: Positive = Field(
        default=1000,
        description="Connections that each server process has at the same time. Beyond it, the one that has "
        "waited longest for a request is closed; if all are at work, the new one is answered with 503.",
    )
    max_connections_per_client: Positive = Field(
        default=500,
        description="The same for the connections of one address (of IPv6: one /64 network), answered with "
        "429. Those of `trusted_proxies` are not counted.",
    )
    head_timeout: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="Seconds from the beginning of a connection, or from the first byte of a later request, "
        "until the head of the request is complete.",
    )
    keepalive_timeout: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="Seconds for which a connection may wait for its next request. Those of "
        "`trusted_proxies` may wait an hour.",
    )
    max_request_line: ByteSize = Field(
        default=8 * 1024, ge=1024, le=64 * 1024, description="Bytes that the address of a request may have."
    )
    max_header_field: ByteSize = Field(
        default=16 * 1024,
        ge=1024,
        le=64 * 1024,
        description="Bytes that one header field of a request may have. All of its head may have "
        "`max_request_line` and four times as much as this.",
    )

    @field_validator("source_path", "cache_path")
    @classmethod
    def _anchor_paths(cls, value: Path, info: ValidationInfo) -> Path:
        return anchor_path(value, info.context)

    # A check across fields belongs to one of them, so that it is told beside all other mistakes.
    @field_validator("image_worker_max_memory")
    @classmethod
    def _leaves_room_to_work(cls, value: int, info: ValidationInfo) -> int:
        cached = info.data.get("image_cache_bytes_per_process", 0)
        if value < cached + WORKER_NEEDS:
            raise PydanticCustomError(
                "conflict",
                "{own} leaves less than {needs} beside image_cache_bytes_per_process ({other}), so that "
                "workers would be replaced all the time; raise it or lower the other",
                {
                    "needs": format_byte_size(WORKER_NEEDS),
                    "own": format_byte_size(value),
                    "other": format_byte_size(cached),
                },
            )
        return value

    @field_validator("image_memory_budget")
    @classmethod
    def _lets_workers_work(cls, value: int | None, info: ValidationInfo) -> int | None:
        workers = info.data.get("image_pool_size", 1)
        if value is not None and value < workers * LIGHT_WORK:
            raise PydanticCustomError(
                "conflict",
                "{own} is less than {needs} for each of {workers} worker processes; raise it or lower "
                "image_pool_size",
                {"own": format_byte_size(value), "needs": format_byte_size(LIGHT_WORK), "workers": workers},
            )
        return value


class Settings(DerivativeOptions, ServerSettings):
    """Every key but ``profiles``: what can be checked without knowing the installed profile types."""


class Config(Settings):
    """The whole configuration."""

    profiles: dict[str, ConfiguredProfile] = Field(
        min_length=1,
        description="Where images come from: for each profile its name, which identifiers begin with, and "
        "below it its `type`, its `rights` and further options.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if any(name != profile.name for name, profile in self.profiles.items()):
            raise ValueError("want each profile under its own name")
        if self.default_profile is not None and self.default_profile not in self.profiles:
            raise ValueError("want default_profile to be the name of a configured profile")
        return self

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        for profile in self.profiles.values():
            effective(self, profile.options)
        return self
