"""JP2 files put together by hand."""

from __future__ import annotations


def boxed(codestream: bytes, *boxes: tuple[bytes, bytes], last: bool = False) -> bytes:
    """A JP2 file of a codestream and what describes it (ISO/IEC 15444-1, I.5).

    Args:
        codestream: the image data.
        boxes: type and contents of what goes into the header box.
        last: whether the box of the codestream goes to the end of the file without telling its length.
    """
    file = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    file += _box(b"jp2h", b"".join(_box(*each) for each in boxes))
    return file + (b"\0\0\0\0jp2c" + codestream if last else _box(b"jp2c", codestream))


def image_header(width: int, height: int, channels: int, bits: int) -> tuple[bytes, bytes]:
    """The first box of the header."""
    return b"ihdr", height.to_bytes(4) + width.to_bytes(4) + channels.to_bytes(2) + bytes([bits - 1, 7, 0, 0])


def colour(parameters: bytes, method: int = 1) -> tuple[bytes, bytes]:
    """A colour specification: enumerated (1), or by a profile (2)."""
    return b"colr", bytes([method, 0, 0]) + parameters


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + kind + content
