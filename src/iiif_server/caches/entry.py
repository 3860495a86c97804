"""The format of a disk cache entry: a fixed header that tells whether the body is whole, then the body."""

from __future__ import annotations

import os
from io import FileIO
from struct import Struct
from typing import Final
from zlib import crc32

from iiif_server.caches.derivative import Derivative, FileSlice

_HEADER = Struct(">4sHQI32s")
_MAGIC = b"IIFC"
_VERSION = 2
_PIECE = 1 << 20

HEADER_BYTES: Final = _HEADER.size


class DamagedEntry(Exception):
    """The file is not what its name says, or not all of it."""


def header(key: str, body: bytes) -> bytes:
    """The header for a body: magic, format version, length and CRC-32 of the body, key."""
    return _HEADER.pack(_MAGIC, _VERSION, len(body), crc32(body), bytes.fromhex(key))


def load(file: FileIO, key: str, small_bytes: int) -> Derivative:
    """Read an entry and check all of it.

    The checksum is computed for every body: entries are written without fsync, so after a power failure a
    file can have its full length and zeros for content. At over 1 GB/s that costs less than sending it.

    Args:
        file: the open entry; it stays open only if the derivative is a slice of it.
        key: what the entry must be stored under.
        small_bytes: bodies up to this size are handed out as bytes.

    Raises:
        DamagedEntry: something does not match.
        OSError: reading failed.
    """
    fd = file.fileno()
    head = os.pread(fd, HEADER_BYTES, 0)
    if len(head) < HEADER_BYTES:
        raise DamagedEntry("the header is cut short")
    magic, version, length, checksum, stored_key = _HEADER.unpack(head)
    if magic != _MAGIC or version != _VERSION:
        raise DamagedEntry("it is of another format")
    if stored_key.hex() != key:
        raise DamagedEntry("it belongs to another key")
    if os.fstat(fd).st_size != HEADER_BYTES + length:
        raise DamagedEntry("its length is wrong")
    if length > small_bytes:
        if _checksum(fd, length) != checksum:
            raise DamagedEntry("its checksum is wrong")
        return Derivative(FileSlice(file, HEADER_BYTES, length), length)
    body = os.pread(fd, length, HEADER_BYTES)
    if len(body) != length or crc32(body) != checksum:
        raise DamagedEntry("its checksum is wrong")
    file.close()
    return Derivative(body, length)


def _checksum(fd: int, length: int) -> int:
    # Piece by piece: a mapped file that another process truncates would end this process with SIGBUS.
    checksum, position, end = 0, HEADER_BYTES, HEADER_BYTES + length
    while position < end and (piece := os.pread(fd, min(_PIECE, end - position), position)):
        checksum = crc32(piece, checksum)
        position += len(piece)
    return checksum
