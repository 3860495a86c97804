"""The stores of profiles that fetch, as ``iiif-server cache`` finds them."""

import re
from pathlib import Path
from typing import Any

import pytest

from iiif_server.api import Fetched, ProfileOptions, ProfileType, SourceStore
from iiif_server.caches.keys import owner_of
from iiif_server.caches.upkeep import Selection
from iiif_server.cli import stores
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.errors import ConfigurationError
from iiif_server.plugins import Plugins
from iiif_server.profiles.files import FileProfile


class Fetching(FileProfile[ProfileOptions]):
    """A profile with a store, whose keys are names with a prefix."""

    def __init__(self, context: Any, options: ProfileOptions) -> None:
        super().__init__(context, options)
        self.sources = SourceStore(
            context.cache_path / "sources", 1 << 20, name_of=lambda key: key.removeprefix("at ")
        )

    def find(self, name: str) -> Path | None:
        """Not asked: no image is looked up."""
        raise NotImplementedError(name)


class Broken(Fetching):
    """A profile that can't be made."""

    def __init__(self, context: Any, options: ProfileOptions) -> None:
        super().__init__(context, options)
        raise RuntimeError("no such mine")


TYPES = {kind.__name__: ProfileType(kind.__name__, ProfileOptions, kind) for kind in (Fetching, Broken)}


def config_with(tmp_path: Path, **types: str) -> Config:
    options = ProfileOptions(rights="http://example.org/r")
    profiles = {
        name: ConfiguredProfile(name=name, type=kind, options=options) for name, kind in types.items()
    }
    return Config(cache_path=tmp_path / "cache", profiles=profiles)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "load_plugins", lambda: Plugins((), TYPES))


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    """With a profile that has fetched two sources."""
    config = config_with(tmp_path, mine="Fetching")
    store = SourceStore(tmp_path / "cache" / "profiles" / "mine" / "sources", 1 << 20)

    async def fetch(writer, previous):
        await writer.write(b"picture")
        return Fetched(version="1")

    for key in ("at a", "at b"):
        async with store.lease(key, fetch, max_age=None):
            pass
    await store.close()
    return config


def test_sources_are_shown_and_purged_by_image(config: Config) -> None:
    derivatives, sources = stores.caches_of(config)
    before = stores.described(sources, ["mine"])

    assert (derivatives.title, derivatives.max_bytes) == ("derivatives", config.disk_cache_size)
    assert (sources.title, sources.profile) == ("sources of mine", "mine")
    assert (before["entries"], before["bytes"], before["max_bytes"]) == (2, 4 * 4096, 1 << 20)
    (line,) = stores.lines_of(sources, before)
    assert re.match(r"sources of mine, in .*/sources: 2 entries, 16 KiB of 1 MiB, last used between ", line)
    selection = Selection(frozenset({owner_of("mine", "a")}))
    assert stores.purged(sources, selection, dry_run=True) == "1 entry, 8 KiB"
    assert stores.purged(sources, selection, dry_run=False) == "1 entry, 8 KiB"
    assert stores.described(sources, ["mine"])["entries"] == 1


def test_a_profile_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"profiles\.bad: the profile can't be made: .*no such mine"):
        stores.caches_of(config_with(tmp_path, bad="Broken"))


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1023 KiB"),
        (10 * 2**30, "10 GiB"),
        (5000 * 2**40, "5000 TiB"),
    ],
)
def test_sizes_in_words(count: int, told: str) -> None:
    assert stores._size(count) == told
