"""Stores that are closed, and the origin they fetch from."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from iiif_server.api import SourceStore
from tests.caches.sources.helpers import Origin

StoreMaker = Callable[..., SourceStore]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The store's directory, before it is made."""
    return tmp_path / "cache" / "sources"


@pytest.fixture
def overflow(tmp_path: Path) -> Path:
    """Where temporary files go."""
    (tmp_path / "overflow").mkdir()
    return tmp_path / "overflow"


@pytest.fixture
async def make_store(directory: Path, overflow: Path) -> AsyncIterator[StoreMaker]:
    """Make stores in one directory, each closed at the end."""
    async with AsyncExitStack() as stack:

        def make(max_bytes: int = 64 << 20, *, at: Path = directory, **options: Any) -> SourceStore:
            store = SourceStore(at, max_bytes, overflow=overflow, **options)
            stack.push_async_callback(store.close)
            return store

        yield make


@pytest.fixture
async def store(make_store: StoreMaker) -> SourceStore:
    return make_store()


@pytest.fixture
async def origin() -> Origin:
    return Origin()
