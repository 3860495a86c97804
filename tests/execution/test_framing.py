"""Frames arrive whole, however they were cut on the way."""

import gc
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.execution.framing import PREFIX, FrameDecoder, FrameError, encode_head, send_frame

FRAMES = st.lists(
    st.tuples(st.binary(max_size=100), st.binary(max_size=100) | st.just(b"x" * 200_000)), max_size=4
)


def feed(decoder: FrameDecoder, data: bytes, cuts: list[int]) -> None:
    while data:
        buffer = decoder.get_buffer()
        size = min(len(data), len(buffer), cuts.pop(0) if cuts else len(data))
        buffer[:size] = data[:size]
        decoder.received(size)
        data = data[size:]


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 70_000), max_size=20))
def test_frames_survive_any_fragmentation(frames: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    found: list[tuple[bytes, bytes]] = []
    decoder = FrameDecoder(lambda header, body: found.append((header, body)), max_body=10**6)
    feed(decoder, b"".join(encode_head(h, len(b)) + b for h, b in frames), cuts)
    assert found == frames


def test_a_body_is_bytes_that_nothing_can_change_later() -> None:
    found: list[bytes] = []
    decoder = FrameDecoder(lambda _, body: found.append(body), max_body=10**6)
    for fill in (b"a", b"b"):
        feed(decoder, encode_head(b"{}", 300_000) + fill * 300_000, [1000])
    assert [type(body) for body in found] == [bytes, bytes]
    assert found == [b"a" * 300_000, b"b" * 300_000]


def test_a_frame_that_never_ends_is_dropped_without_a_complaint() -> None:
    """Wherever it breaks off, and when only the garbage collector finds it."""
    for received in (1, 20, 200_000):
        decoder = FrameDecoder(lambda *_: None, max_body=10**6)
        decoder.itself = decoder  # type: ignore[attr-defined]
        feed(decoder, (encode_head(b"{}", 300_000) + b"a" * 299_000)[:received], [1000])
        decoder.get_buffer()
        del decoder
        assert gc.collect() > 0


@pytest.mark.parametrize(("header", "body"), [(5 * 1024**2, 0), (10, 1001)])
def test_an_oversized_frame_is_refused_by_its_announcement(header: int, body: int) -> None:
    decoder = FrameDecoder(lambda *_: None, max_body=1000)
    with pytest.raises(FrameError):
        feed(decoder, PREFIX.pack(header, body), [])


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_frame_is_sent_whole_through_a_small_socket_buffer(size: int) -> None:
    ours, theirs = socket.socketpair()
    body = memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    with ours, theirs:
        sender = threading.Thread(target=send_frame, args=(ours, b"h" * 300_000, body))
        sender.start()
        with theirs.makefile("rb") as stream:
            assert PREFIX.unpack(stream.read(PREFIX.size)) == (300_000, size)
            assert stream.read(300_000) == b"h" * 300_000
            assert stream.read(size) == body
        sender.join()
