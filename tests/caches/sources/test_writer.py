"""Small chunks are put together, and what is too large is refused before it is written."""

from typing import Any

import pytest

from iiif_server.caches.sources.writer import PIECE, SourceWriter
from iiif_server.errors import SourceTooLarge


class Recorder:
    """In place of a part and of threads: notes what would be done."""

    def __init__(self) -> None:
        self.expected: list[int] = []
        self.pieces: list[bytes] = []

    def expect(self, size: int) -> None:
        self.expected.append(size)

    def append(self, data: bytearray) -> None:
        self.pieces.append(bytes(data))

    async def run(self, function: Any, *arguments: Any) -> None:
        function(*arguments)


def writer_to(recorder: Recorder, max_bytes: int = 1 << 30) -> SourceWriter:
    return SourceWriter(recorder, max_bytes, recorder.run)  # type: ignore[arg-type]


async def test_chunks_are_put_together_in_order() -> None:
    recorder = Recorder()
    writer = writer_to(recorder)
    body = bytes(number % 251 for number in range(3 * PIECE))
    for start in range(0, len(body), 1000):
        await writer.write(body[start : start + 1000])
    assert writer.size == len(body)
    await writer.flush()
    await writer.flush()
    assert b"".join(recorder.pieces) == body
    assert len(recorder.pieces) == 3
    assert {len(piece) for piece in recorder.pieces[:-1]} == {-(-PIECE // 1000) * 1000}


async def test_what_was_written_is_not_the_callers_any_more() -> None:
    recorder = Recorder()
    writer = writer_to(recorder)
    chunk = bytearray(b"first")
    await writer.write(chunk)
    chunk[:] = b"other"
    await writer.flush()
    assert recorder.pieces == [b"first"]


async def test_what_is_too_large_is_never_handed_over() -> None:
    recorder = Recorder()
    writer = writer_to(recorder, max_bytes=10)
    await writer.write(b"1234567890")
    with pytest.raises(SourceTooLarge) as raised:
        await writer.write(b"1")
    assert "at most 10" in raised.value.log
    assert writer.size == 10
    with pytest.raises(SourceTooLarge):
        await writer.expect(11)
    await writer.expect(10)
    await writer.expect(0)
    assert recorder.expected == [10]
