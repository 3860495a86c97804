"""The file that a profile lends to the workers."""

from __future__ import annotations

import asyncio
import os
import stat
import uuid
from contextlib import AsyncExitStack

import pytest

from iiif_server.api import Dimensions
from iiif_server.testing.contract.base import ContractBase, LiveProfile, borrowed
from iiif_server.testing.images import KnownImage

_BORROWERS = 10
_PATIENCE = 30.0


class SourcesContract(ContractBase):
    """What `use_source` lends."""

    async def test_the_source_is_a_regular_file(self, live: LiveProfile, known_image: KnownImage) -> None:
        """The path is absolute, and no link, because workers follow none."""
        async with live.use_source(await live.get_info(known_image.name)) as path:
            assert path.is_absolute()
            assert stat.S_ISREG((await asyncio.to_thread(os.lstat, path)).st_mode), (
                f"{path} is no regular file"
            )

    async def test_a_worker_reads_the_source(self, live: LiveProfile, known_image: KnownImage) -> None:
        """Another process opens the file, and finds the size that `get_info` tells."""
        info = await live.get_info(known_image.name)
        async with live.use_source(info) as path:
            found = await live.context.probe(path, uuid.uuid4().hex)

        assert tuple(found.size) == tuple(info.size)

    async def test_a_source_stays_while_it_is_lent(self, live: LiveProfile, known_image: KnownImage) -> None:
        """The file stays as it is until its own context ends, whatever else begins and ends meanwhile."""
        info = await live.get_info(known_image.name)
        async with AsyncExitStack() as first, AsyncExitStack() as second:
            early = await first.enter_async_context(live.use_source(info))
            content = await asyncio.to_thread(early.read_bytes)
            await borrowed(live, info)
            assert await asyncio.to_thread(early.read_bytes) == content
            late = await second.enter_async_context(live.use_source(info))
            await first.aclose()
            await live.get_info(known_image.name)

            assert await asyncio.to_thread(late.read_bytes) == content

    async def test_ten_may_borrow_at_once(self, live: LiveProfile, known_image: KnownImage) -> None:
        """Ten contexts may be open at the same time, and all lend the same bytes."""
        info = await live.get_info(known_image.name)
        barrier = asyncio.Barrier(_BORROWERS)

        async def borrow() -> bytes:
            async with live.use_source(info) as path:
                await barrier.wait()
                return await asyncio.to_thread(path.read_bytes)

        async with asyncio.timeout(_PATIENCE):
            lent = await asyncio.gather(*(borrow() for _ in range(_BORROWERS)))

        assert len(set(lent)) == 1

    async def test_a_smaller_copy_is_large_enough(self, live: LiveProfile, known_image: KnownImage) -> None:
        """For a size hint, the file is at least as large, and no larger than the image itself."""
        info = await live.get_info(known_image.name)
        hint = Dimensions(max(1, info.width // 3), max(1, info.height // 3))
        async with live.use_source(info, hint) as path:
            found = await live.context.probe(path, uuid.uuid4().hex)

        assert hint.width <= found.width <= info.width
        assert hint.height <= found.height <= info.height

    async def test_what_the_borrower_raises_is_its_own(
        self, live: LiveProfile, known_image: KnownImage
    ) -> None:
        """An error inside the context comes out of it as it was, and the image can be borrowed again."""
        info = await live.get_info(known_image.name)
        error = RuntimeError("the borrower's own")
        with pytest.raises(RuntimeError) as caught:
            async with live.use_source(info):
                raise error

        assert caught.value is error
        assert await borrowed(live, info)
