"""The options of an ``http`` profile."""

from __future__ import annotations

import re
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from iiif_server.api import ByteSize, ProfileOptions
from iiif_server_http.addresses import Network
from iiif_server_http.urls import AllowList, Template, parse

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TAKEN: Final = re.compile(
    r"accept-encoding|connection|content-.*|host|if-.*|keep-alive|proxy-.*|range|te|trailer|"
    r"transfer-encoding|upgrade|user-agent",
    re.IGNORECASE,
)


def _check_template(value: str) -> str:
    Template(value)
    return value


def _check_prefixes(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "?" in value or not parse(value).raw_path.endswith("/"):
            raise ValueError("want URLs that end with a slash, such as 'https://images.example.org/scans/'")
    return values


def _check_networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)
    return values


def _check_headers(values: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in values.items():
        text = value.get_secret_value()
        if not _TOKEN.fullmatch(name) or _TAKEN.fullmatch(name):
            raise ValueError(f"can't send the header {name!r}: it is no name, or the server sets it itself")
        if not text.isprintable() or not text.isascii():
            raise ValueError(f"want printable ASCII as the value of the header {name!r}")
    return values


def _check_agent(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("want printable ASCII")
    return value


class HttpOptions(ProfileOptions):
    """Options of an ``http`` profile: one of ``url`` and ``allow``, and what may differ from the defaults."""

    url: Annotated[str, AfterValidator(_check_template)] | None = Field(
        default=None,
        description="Where an image is: a URL with `{name}` in it, or `{path}` where slashes stay slashes.",
        examples=["https://images.example.org/{name}.jpg"],
    )
    allow: Annotated[tuple[str, ...], AfterValidator(_check_prefixes)] = Field(
        default=(),
        description="Instead of `url`: names are URLs that begin with one of these. Each ends with a slash.",
    )
    allow_redirects: Annotated[tuple[str, ...], AfterValidator(_check_prefixes)] = Field(
        default=(), description="Beginnings of URLs elsewhere that the origin may redirect to."
    )
    allow_private: Annotated[tuple[str, ...], AfterValidator(_check_networks)] = Field(
        default=(),
        description="Networks that may be connected to although they are not public, such as `10.1.2.0/24`.",
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_check_headers)] = Field(
        default_factory=dict,
        description="Headers to send to the origin, for instance an API key; never sent to another origin.",
    )
    user_agent: Annotated[str, AfterValidator(_check_agent)] = Field(
        default="iiif-server-http", min_length=1, description="What the origin is told of who asks."
    )
    verify_tls: bool = Field(default=True, description="Whether certificates have to be valid.")
    ca_file: Path | None = Field(
        default=None, description="A PEM file of authorities to trust instead of the system's."
    )
    connections: int = Field(default=16, ge=1, le=1000, description="Connections at the same time.")
    connect_timeout: float = Field(
        default=5, gt=0, le=60, description="Seconds to find and reach the origin."
    )
    read_timeout: float = Field(
        default=10, gt=0, le=600, description="Seconds for which the origin may be silent."
    )
    total_timeout: float = Field(
        default=30, gt=0, le=3600, description="Seconds for one image, redirects included."
    )
    max_age: float = Field(
        default=600, ge=0, description="Seconds after which the origin is asked whether an image changed."
    )
    stale_if_error: float = Field(
        default=0,
        ge=0,
        description="Seconds beyond `max_age` for which a kept image is used while the origin fails.",
    )
    remember_failures: float = Field(
        default=2, ge=0, le=5, description="Seconds for which a failure is answered without asking again."
    )
    verify_after: float = Field(
        default=1,
        ge=0,
        description="Seconds of transfer after which the origin is asked whether the image changed.",
    )
    cache_size: ByteSize = Field(
        default=10 << 30, description="What fetched images may take on disk; want twice the largest."
    )
    keep_for: float | None = Field(
        default=None, gt=0, description="Seconds after its last use when a fetched image is removed."
    )

    # Not at the type: there a relative path does not begin at the configuration's directory yet.
    @field_validator("ca_file")
    @classmethod
    def _check_authorities(cls, value: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=value)
        except OSError as error:
            raise ValueError("want a file of certificates in PEM") from error
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.url is None) == (not self.allow):
            raise ValueError("want either url or allow")
        if self.headers and len(AllowList(self.allow).origins) > 1:
            raise ValueError(
                "want one origin in allow where headers are sent: make a profile for each origin"
            )
        return self

    @property
    def private_networks(self) -> tuple[Network, ...]:
        """``allow_private``, parsed."""
        return tuple(ip_network(value) for value in self.allow_private)
