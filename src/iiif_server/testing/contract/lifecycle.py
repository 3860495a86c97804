"""A profile's life: what it holds, what it does to the event loop, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from iiif_server.api import LendsOriginals, ListsNames
from iiif_server.testing.blocking import forbid_blocking
from iiif_server.testing.contract.base import (
    Call,
    ContractBase,
    LiveProfile,
    borrowed,
    lent_original,
    original,
    skip_without,
)
from iiif_server.testing.images import KnownImage
from iiif_server.testing.leaks import Resources
from iiif_server.testing.profiles import ProfileSetup

_TURNS = 8
"""Turns of the event loop after which work is cancelled, from none to so many."""

_PAUSES = (0.001, 0.003, 0.01, 0.03)
"""Seconds after which it is."""


class LifecycleContract(ContractBase):
    """What a profile is like as a part of a server that runs for months."""

    @pytest.fixture
    def scratch(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where :mod:`tempfile` puts what this test makes."""
        path = tmp_path_factory.mktemp("scratch")
        monkeypatch.setattr(tempfile, "tempdir", str(path))
        return path

    async def test_the_status_is_json(self, live: LiveProfile, known_image: KnownImage) -> None:
        """`get_status` gives a mapping that JSON can say, before and after the profile was used."""
        for _ in range(2):
            status = await live.get_status()
            assert isinstance(status, Mapping)
            assert json.loads(json.dumps(dict(status), allow_nan=False)) == dict(status)
            await borrowed(live, await live.get_info(known_image.name))

    async def test_nothing_blocks_the_loop(self, profile: ProfileSetup, known_image: KnownImage) -> None:
        """No method blocks the event loop, neither the first time nor the second."""
        skip_without("blockbuster", "which finds what blocks the event loop")
        from blockbuster import BlockingError

        module = sys.modules[profile.profile_type.profile.__module__]
        package = sys.modules.get(module.__package__ or "", module)
        async with profile.live() as live:
            for _ in range(2):
                for method, call in _uses(live, known_image.name).items():
                    with forbid_blocking([package if hasattr(package, "__path__") else module, module]):
                        try:
                            await call()
                        except BlockingError as error:
                            pytest.fail(f"{method} blocks the event loop: {error}")

    # What a thread was just opening for one who has gone is closed with a warning: that is soon enough.
    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    async def test_cancelling_leaves_nothing(
        self, profile: ProfileSetup, known_image: KnownImage, tmp_path: Path, scratch: Path
    ) -> None:
        """What is cancelled, at whatever moment, leaves no task, no open file and no file behind."""
        before = Resources.now()
        regular = await _files_of_a_life(
            profile.with_cache(tmp_path / "cache-1"), known_image, scratch, cancel=False
        )
        cancelled = await _files_of_a_life(
            profile.with_cache(tmp_path / "cache-2"), known_image, scratch, cancel=True
        )

        assert await before.left_behind_by_now() == []
        assert len(cancelled) <= len(regular), (
            f"files after a life: {regular}; with cancellations: {cancelled}"
        )

    async def test_closing_leaves_nothing(
        self, profile: ProfileSetup, known_image: KnownImage, scratch: Path
    ) -> None:
        """After `close`, which may be called twice, no task, thread, process or temporary file is left."""
        before = Resources.now()
        async with profile.live() as live:
            for call in _uses(live, known_image.name).values():
                await call()
        await live.close()
        del live

        assert await before.left_behind_by_now() == []
        assert _files(scratch) == []


def _uses(profile: LiveProfile, name: str) -> Mapping[str, Call]:
    """Everything that a server asks a profile for, ready to be called."""

    async def borrow() -> None:
        await borrowed(profile, await profile.get_info(name))

    calls: dict[str, Call] = {
        "get_info": lambda: profile.get_info(name),
        "use_source": borrow,
        "resolve_filename": lambda: profile.resolve_filename(name),
        "resolve_original_size": lambda: profile.resolve_original_size(name),
        "stream_original": lambda: original(profile, name),
        "get_status": profile.get_status,
    }
    if isinstance(profile, LendsOriginals):
        lender = profile
        calls["use_original"] = lambda: lent_original(lender, name)
    if isinstance(profile, ListsNames):
        listing = profile
        calls["list_names"] = lambda: listing.list_names(None, 100)
    return calls


async def _files_of_a_life(
    profile: ProfileSetup, image: KnownImage, scratch: Path, *, cancel: bool
) -> list[str]:
    """The files that are there after a profile was used and closed."""
    before = set(_files(profile.source_path, profile.cache_path, scratch))
    async with profile.live() as live:
        if cancel:
            for call in _uses(live, image.name).values():
                await _cancel_at_every_moment(call)
            await _cancel_inside(live, image.name)
        for call in _uses(live, image.name).values():
            await call()
    return sorted(set(_files(profile.source_path, profile.cache_path, scratch)) - before)


async def _cancel_at_every_moment(call: Call) -> None:
    """Begin a call again and again, and cancel it ever later."""

    async def run() -> None:
        await call()

    for turns in range(_TURNS):
        task = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        await _cancelled(task)
    for pause in _PAUSES:
        task = asyncio.create_task(run())
        await asyncio.sleep(pause)
        await _cancelled(task)


async def _cancel_inside(profile: LiveProfile, name: str) -> None:
    """Cancel those who have a file on loan, and those who read an original."""
    inside = asyncio.Event()

    async def keep() -> None:
        async with profile.use_source(await profile.get_info(name)):
            inside.set()
            await asyncio.Event().wait()

    async def read() -> None:
        async for _ in profile.stream_original(name, 1024):
            inside.set()
            await asyncio.Event().wait()

    for work in (keep, read):
        inside.clear()
        task = asyncio.create_task(work())
        waiting = asyncio.create_task(inside.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await _cancelled(task)


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; an error of its own is an error of the test."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _files(*directories: Path) -> list[str]:
    return [str(path) for top in directories for path in top.rglob("*") if path.is_file()]
