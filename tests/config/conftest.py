"""Two small profile types, and a way to load text as a configuration."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from iiif_server.config.load import load_config
from iiif_server.config.model import Config
from iiif_server.errors import ConfigurationError
from iiif_server.profiles.options import ByteSize, ProfileOptions


class DiskOptions(ProfileOptions):
    path: Path | None = Field(default=None, description="Where the images are.")
    follow_symlinks: bool = Field(default=False, description="Follow links.")


class Retry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    attempts: int = Field(default=3, ge=1, description="How often.")


class StoreOptions(ProfileOptions):
    hosts: tuple[str, ...] = Field(
        min_length=1, description="Base addresses. Used in turn.", examples=[["http://es1"]]
    )
    cache_size: ByteSize = Field(default=1024**2, description="Bytes kept | on disk.")
    mode: Literal["fast", "slow"] = Field(default="fast", description="How to read.")
    limit: int | str = Field(default=4, description="A number or 'all'.")
    retry: Retry = Field(default=Retry(), description="What to do on errors.")


Load = Callable[..., Config]


@pytest.fixture
def option_models() -> dict[str, type[ProfileOptions]]:
    return {"disk": DiskOptions, "store": StoreOptions}


@pytest.fixture
def load(tmp_path: Path, option_models: Mapping[str, type[ProfileOptions]]) -> Load:
    """Write ``config.yaml`` and load it."""

    def load(content: str | bytes, failures: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "config.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_config(path, option_models, failures or {})

    return load


@pytest.fixture
def problems_of(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of a broken configuration, without the directory of the file."""

    def problems_of(content: str | bytes, failures: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(content, failures)
        return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]

    return problems_of
