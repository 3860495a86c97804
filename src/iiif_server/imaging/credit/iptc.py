"""Creator, credit, source and copyright in IPTC-IIM 4.2 data, bare or among Photoshop's image resources."""

from __future__ import annotations

from struct import error, unpack_from

from iiif_server.imaging.credit.model import MAX_NAMES, Credit, decoded
from iiif_server.imaging.jpeg import PHOTOSHOP_SIGNATURE

IPTC_RESOURCE = 0x0404
_MARK = 0x1C
_UTF8 = b"\x1b%G"
_CHARACTER_SET, _BYLINE, _CREDIT, _SOURCE, _COPYRIGHT = (1, 90), (2, 80), (2, 110), (2, 115), (2, 116)
_WANTED = frozenset({_CHARACTER_SET, _BYLINE, _CREDIT, _SOURCE, _COPYRIGHT})
# RELIABILITY: files have some 30 resources and data sets; keywords may be hundreds.
_MAX_RESOURCES = 1000
_MAX_DATASETS = 5000
_MAX_VALUES = 4 * MAX_NAMES
_MAX_BYTES = 1 << 16


def read_iptc(block: bytes) -> Credit:
    """What IIM data says.

    Args:
        block: image resources (JPEG APP13, with or without its signature; TIFF tag 34377) or the bare data
            (TIFF tag 33723).
    """
    found = _datasets(_iim(block))
    utf8 = _UTF8 in found.get(_CHARACTER_SET, [])
    texts = {
        key: [value.decode(errors="replace") if utf8 else decoded(value) for value in values]
        for key, values in found.items()
    }
    single = {key: values[0] for key, values in texts.items()}
    return Credit(
        creators=tuple(texts.get(_BYLINE, ())),
        copyright_notice=single.get(_COPYRIGHT, ""),
        credit_line=single.get(_CREDIT, ""),
        source=single.get(_SOURCE, ""),
    )


def _iim(block: bytes) -> bytes:
    """The IPTC data among image resources (Adobe Photoshop File Formats: 8BIM, id, name, size, data)."""
    at = len(PHOTOSHOP_SIGNATURE) if block.startswith(PHOTOSHOP_SIGNATURE) else 0
    if block[at : at + 4] != b"8BIM":
        return block
    try:
        for _ in range(_MAX_RESOURCES):
            if block[at : at + 4] != b"8BIM":
                break
            kind, name = unpack_from(">HB", block, at + 4)
            start = at + 6 + (1 + name + 1 & ~1)
            size = unpack_from(">L", block, start)[0]
            if kind == IPTC_RESOURCE:
                return block[start + 4 : start + 4 + size]
            at = start + 4 + (size + 1 & ~1)
    except error:
        pass  # cut short
    return b""


def _datasets(data: bytes) -> dict[tuple[int, int], list[bytes]]:
    """The wanted data sets in order of appearance, as far as the data is sound."""
    found: dict[tuple[int, int], list[bytes]] = {}
    at = 0
    try:
        for _ in range(_MAX_DATASETS):
            mark, record, number, length = unpack_from(">BBBH", data, at)
            at += 5
            if mark != _MARK:
                break
            if length & 0x8000:  # an extended data set: the length of the length
                digits = length & 0x7FFF
                length = int.from_bytes(data[at : at + min(digits, 4)])
                at += digits
            if (record, number) in _WANTED:
                values = found.setdefault((record, number), [])
                if len(values) < _MAX_VALUES:
                    values.append(data[at : at + min(length, _MAX_BYTES)])
            at += length
    except error:
        pass  # the end, or cut short
    return found
