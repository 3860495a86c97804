"""Whatever is leased, changed, forgotten and evicted, in whatever order: leases and the budget hold."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iiif_server.api import Fetched, NotModified, SourceStore, SourceWriter, StoredSource
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.ledger import Ledger
from tests.caches.sources.helpers import bytes_on_disk, leftovers, records, whole_files

BUDGET = 400_000
KEYS = st.sampled_from([f"key {number}" for number in range(6)])
STORES = st.integers(0, 1)


class OriginDown(Exception):
    """The origin does not answer."""


class StoreMachine(RuleBasedStateMachine):
    """Two stores in one directory, an origin whose sources change, and leases that stay open for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.directory, self.overflow = self.root / "sources", self.root / "overflow"
        self.overflow.mkdir()
        self.stores = [self.new_store(), self.new_store()]
        self.origin: dict[str, bytes] = {}
        self.leases: list[tuple[AsyncExitStack, StoredSource, bytes]] = []
        self.ever_served: dict[str, set[bytes]] = {}

    def new_store(self) -> SourceStore:
        return SourceStore(self.directory, BUDGET, overflow=self.overflow)

    def fetch(self, key: str, is_failing: bool) -> Any:
        async def fetch(writer: SourceWriter, previous: StoredSource | None) -> Fetched | NotModified:
            body = self.origin.setdefault(key, key.encode() * 1000)
            version = f"{len(body)}-{body[:8]!r}"
            if previous is not None and previous.version == version:
                return NotModified()
            for start in range(0, len(body), 30_000):
                await writer.write(body[start : start + 30_000])
            if is_failing:
                await writer.flush()
                raise OriginDown
            self.ever_served.setdefault(key, set()).add(body)
            return Fetched(version=version)

        return fetch

    @rule(key=KEYS, which=STORES, max_age=st.sampled_from([0, None]), keep_open=st.booleans())
    def lease(self, key: str, which: int, max_age: float | None, keep_open: bool) -> None:
        async def enter() -> None:
            stack = AsyncExitStack()
            lease = self.stores[which].lease(key, self.fetch(key, False), max_age=max_age)
            stored = await stack.enter_async_context(lease)
            body = stored.path.read_bytes()
            assert body in self.ever_served[key]
            assert max_age is None or body == self.origin[key]
            if keep_open:
                self.leases.append((stack, stored, body))
            else:
                await stack.aclose()

        self.runner.run(enter())

    @rule(key=KEYS, which=STORES)
    def failing_lease(self, key: str, which: int) -> None:
        async def enter() -> None:
            lease = self.stores[which].lease(key, self.fetch(key, True), max_age=0, stale_if_error=OriginDown)
            was_there = await self.stores[which].stored(key)
            try:
                async with lease as stored:
                    assert was_there is not None
                    assert stored.path.read_bytes() in self.ever_served[key]
            except OriginDown:
                assert was_there is None

        self.runner.run(enter())

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        stack, _, _ = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        self.runner.run(stack.aclose())

    @rule(key=KEYS, size=st.integers(1, 220_000), fill=st.binary(min_size=1, max_size=1))
    def change(self, key: str, size: int, fill: bytes) -> None:
        self.origin[key] = fill * size

    @rule(key=KEYS, which=STORES)
    def forget(self, key: str, which: int) -> None:
        async def forget() -> None:
            await self.stores[which].forget(key)
            assert await self.stores[1 - which].stored(key) is None

        self.runner.run(forget())

    @rule(which=STORES)
    def restart(self, which: int) -> None:
        """End one of the stores; its leases end with it."""
        for stack, stored, body in self.leases:
            assert stored.path.read_bytes() == body
            self.runner.run(stack.aclose())
        self.leases.clear()
        self.runner.run(self.stores[which].close())
        self.stores[which] = self.new_store()

    @invariant()
    def what_is_lent_is_there_as_it_was(self) -> None:
        for _, stored, body in self.leases:
            assert stored.path.read_bytes() == body

    @invariant()
    def the_budget_holds(self) -> None:
        # What several fetches write at the same moment beyond it: a description each.
        assert bytes_on_disk(self.directory) <= BUDGET + 2 * 4096

    def teardown(self) -> None:
        for stack, _, _ in self.leases:
            self.runner.run(stack.aclose())
        for store in self.stores:
            self.runner.run(store.close())
        try:
            assert leftovers(self.directory) == list(self.overflow.iterdir()) == []
            assert len(whole_files(self.directory)) == len(records(self.directory))
            if self.directory.exists():
                with Ledger(SourceDirectory(self.directory)).locked() as counts:
                    assert counts.total_bytes == bytes_on_disk(self.directory)
                    assert counts.entries == len(records(self.directory))
        finally:
            self.runner.close()
            shutil.rmtree(self.root)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
