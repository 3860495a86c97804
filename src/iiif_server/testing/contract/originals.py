"""The stored file, as people download it."""

from __future__ import annotations

import asyncio
import tracemalloc
import unicodedata
from stat import S_ISREG
from typing import Any

import pytest

from iiif_server.api import LendsOriginals
from iiif_server.testing.contract.base import ContractBase, LiveProfile, lent_original, original
from iiif_server.testing.images import KnownImage
from iiif_server.testing.leaks import Resources

_CHUNK_SIZES = (1009, 65_536, 2**30)
_LARGE = 2 * 1024**2

_WARMING_UP = 3
_ABANDONED = 20
"""More than any pool of connections or threads that a profile fills by asking one after the other."""


class OriginalsContract(ContractBase):
    """What `resolve_filename`, `resolve_original_size` and `stream_original` tell of the stored file."""

    async def test_the_original_comes_in_pieces(self, live: LiveProfile, known_image: KnownImage) -> None:
        """No piece is empty or larger than was asked for, and however they are cut, they make one file."""
        files = set()
        for chunk_size in _CHUNK_SIZES:
            pieces = await original(live, known_image.name, chunk_size)
            assert all(0 < len(piece) <= chunk_size for piece in pieces), (
                f"pieces of {chunk_size} bytes at most"
            )
            files.add(b"".join(pieces))

        assert len(files) == 1

    async def test_the_original_has_the_size_that_was_told(
        self, live: LiveProfile, known_image: KnownImage
    ) -> None:
        """`resolve_original_size` is the number of bytes that `stream_original` yields."""
        content = b"".join(await original(live, known_image.name))

        assert await live.resolve_original_size(known_image.name) == len(content)

    async def test_the_original_is_the_stored_file(self, live: LiveProfile, known_image: KnownImage) -> None:
        """The bytes are those of the stored file, whatever `use_source` makes of it."""
        if not known_image.original:
            pytest.skip("the known image has no `original`: the stored bytes are not known")
        content = b"".join(await original(live, known_image.name))

        assert len(content) == len(known_image.original)
        assert content == known_image.original

    async def test_the_file_name_is_a_plain_name(self, live: LiveProfile, known_image: KnownImage) -> None:
        """`resolve_filename` gives a name for a download: no path, nothing that does not print."""
        name = await live.resolve_filename(known_image.name)

        assert name not in ("", ".", "..")
        assert [character for character in name if character in "/\\" or not _prints(character)] == []

    async def test_a_large_original_takes_little_memory(
        self, live: LiveProfile, known_image: KnownImage
    ) -> None:
        """While it is streamed, an original is never in memory as a whole."""
        size = await live.resolve_original_size(known_image.name)
        if size < _LARGE:
            pytest.skip(f"the known image's original has {size} bytes: it takes 2 MiB to tell")
        peak = await _peak_of_streaming(live, known_image.name)

        assert peak < size // 2, f"{peak} bytes of memory for an original of {size} bytes"

    async def test_an_original_that_is_lent_is_the_stored_file(
        self, live: LiveProfile, known_image: KnownImage
    ) -> None:
        """`use_original`, if there is one, lends a regular file: what `stream_original` yields."""
        if not isinstance(live, LendsOriginals):
            pytest.skip(f"{type(live).__name__} lends no originals: it has no `use_original`")
        async with live.use_original(known_image.name) as path:
            is_regular = await asyncio.to_thread(lambda: path.is_absolute() and S_ISREG(path.lstat().st_mode))
        content = await lent_original(live, known_image.name)

        assert is_regular, f"{path} is no absolute path of a regular file"
        assert content == b"".join(await original(live, known_image.name))

    async def test_abandoned_originals_are_let_go(self, live: LiveProfile, known_image: KnownImage) -> None:
        """However many downloads are broken off, what stays open does not become more.

        Connections and threads that wait for the next one who asks are nobody's leak.
        """
        await _abandon(live, known_image.name, _WARMING_UP)
        before = Resources.now()
        await _abandon(live, known_image.name, _ABANDONED)

        left = await before.left_behind_by_now(at_most=_ABANDONED // 2)
        assert len(left) <= _ABANDONED // 2, f"after {_ABANDONED} downloads that were broken off: {left}"


def _prints(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs")


async def _abandon(profile: LiveProfile, name: str, times: int) -> None:
    """Begin downloads, and break each off after its first piece."""
    for _ in range(times):
        pieces: Any = profile.stream_original(name, 1024)
        assert len(await anext(pieces)) <= 1024
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
        del pieces


async def _peak_of_streaming(profile: LiveProfile, name: str) -> int:
    """The most bytes of memory that were allocated while an original was streamed."""
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        async for _ in profile.stream_original(name, 16_384):
            pass
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not was_tracing:
            tracemalloc.stop()
