"""Pools for these tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from iiif_server.execution.messages import Task
from iiif_server.execution.pool import PoolSettings, WorkerPool

PoolMaker = Callable[..., Awaitable[WorkerPool]]


@pytest.fixture(autouse=True)
def importable_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import the factories of these tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
async def make_pool(importable_handlers: None) -> AsyncIterator[PoolMaker]:
    """Start pools; each is closed at the end of the test."""
    pools = []

    async def make(factory: str = "create", **options: Any) -> WorkerPool:
        pool = WorkerPool(PoolSettings(factory=f"tests.execution.handlers:{factory}", **options))
        pools.append(pool)
        await pool.start()
        return pool

    yield make
    for pool in pools:
        await pool.close(grace=0)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file; a task `wait_while` ends once it is removed, however long that takes."""
    path = tmp_path / "gate"
    path.touch()
    return path


def task(method: str, argument: object = None, affinity: str = "", **options: Any) -> Task:
    """A task; most tests do not care for the affinity."""
    return Task(method, argument, affinity, **options)


def pids(pool: WorkerPool) -> list[int]:
    """The process ids of the workers that are ready."""
    found = pool.status()["pids"]
    assert isinstance(found, list)
    return found
