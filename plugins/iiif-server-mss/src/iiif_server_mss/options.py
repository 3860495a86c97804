"""The options of an ``mss`` profile."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from iiif_server.api import ByteSize, ProfileOptions
from pydantic import AfterValidator, Field, model_validator
from yarl import URL

_NAME = "{name}"


def _check_service(value: str) -> str:
    """An address of a service, without the slash at its end."""
    url = URL(value)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("want an address with its scheme, such as 'https://mss.example.org'")
    return value.rstrip("/")


def _check_host(value: str) -> str:
    value = _check_service(value)
    if URL(value).path.strip("/") or URL(value).query_string:
        raise ValueError("want scheme and host only, such as 'https://mss.example.org'")
    return value


def _check_template(value: str) -> str:
    if value.count(_NAME) != 1:
        raise ValueError("want '{name}' once in it, such as 'http://example.com/images/{name}.jpg'")
    _check_service(value.replace(_NAME, "a"))
    if URL(value.replace(_NAME, "a")).origin() != URL(value.replace(_NAME, "b")).origin():
        raise ValueError("want '{name}' behind the host")
    return value


class MssOptions(ProfileOptions):
    """The keys of an ``mss`` profile in the configuration, besides those of every profile."""

    es_hosts: tuple[Annotated[str, AfterValidator(_check_service)], ...] = Field(
        default=(),
        description="Addresses of the Elasticsearch nodes, which are asked in turn. Required without `url`.",
        examples=[["http://es1.example.org:9200", "http://es2.example.org:9200"]],
        json_schema_extra={"x-type": "list of addresses"},
    )
    mss_url: Annotated[str, AfterValidator(_check_host)] | None = Field(
        default=None,
        description="Scheme and host of the media store. Required without `url`.",
        examples=["https://mss.example.org"],
    )
    url: Annotated[str, AfterValidator(_check_template)] | None = Field(
        default=None,
        description="Where images are that need no catalogue, with `{name}` in the place of an image's name; "
        "instead of `es_hosts` and `mss_url`.",
        examples=["http://example.com/storage/images/{name}.jpg"],
    )
    mss_ssl: bool = Field(default=True, description="Verify the certificate of the media store, or of `url`.")
    mss_index: str = Field(
        default="data-mss-latest", min_length=1, description="The index that holds the documents."
    )
    mss_limit: int = Field(
        default=10, ge=1, description="Connections to the media store, or to `url`, at the same time."
    )
    es_limit: int = Field(
        default=10, ge=1, description="Connections to each Elasticsearch node at the same time."
    )
    info_cache_size: int = Field(
        default=100_000, ge=0, description="How many images' look-ups are remembered; 0 remembers none."
    )
    info_cache_ttl: float = Field(
        default=43_200,
        ge=0,
        description="Seconds for which a look-up is used. A change in the catalogue or of the file is seen "
        "after this time at the latest.",
    )
    info_lock_ttl: float = Field(
        default=60,
        gt=0,
        description="Seconds that a look-up may take, whoever waits for it; then the answer is 503.",
    )
    source_cache_size: ByteSize = Field(
        default=268_435_456, description="What fetched files may take together below `source_path`."
    )
    source_cache_ttl: float = Field(
        default=43_200, gt=0, description="Seconds after its last use when a fetched file is removed."
    )
    convert_quality: int = Field(
        default=85,
        ge=0,
        le=100,
        description="Without effect, and accepted for older configurations: files are read as they are, none "
        "is converted to JPEG first. See `jpeg_quality` for what is sent.",
    )
    convert_subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = Field(
        default="4:2:0",
        description="Without effect, like `convert_quality`. See `jpeg_subsampling` for what is sent.",
    )
    dams_limit: int = Field(default=4, ge=1, description="Connections to the DAMS at the same time.")
    dams_ssl: bool = Field(default=True, description="Verify the certificate of the DAMS.")
    recheck_interval: float = Field(
        default=3600,
        ge=0,
        description="Seconds after which everything that is remembered or fetched is looked up again, so "
        "that what may no longer be shown is removed; 0 never looks.",
    )

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        catalogue = bool(self.es_hosts) or self.mss_url is not None
        if self.url is not None and catalogue:
            raise ValueError("want either 'url', or 'es_hosts' and 'mss_url'")
        if self.url is None and not (self.es_hosts and self.mss_url):
            raise ValueError("want 'es_hosts' and 'mss_url', or 'url'")
        return self
