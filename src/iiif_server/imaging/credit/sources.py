"""Where a source keeps its EXIF, XMP and IPTC blocks, and what they say taken together.

======== ==================================== ============================== ==============================
format   EXIF                                 XMP                            IPTC-IIM
======== ==================================== ============================== ==============================
JPEG     APP1 ``Exif``                        APP1 ``ns.adobe.com/xap/1.0/`` APP13 ``Photoshop 3.0``
PNG      ``eXIf``                             ``iTXt XML:com.adobe.xmp``     none
TIFF     its own tags 315 and 33432           tag 700                        tag 33723, else tag 34377
WebP     ``EXIF``                             ``XMP``                        none
AVIF     an ``Exif`` item                     a ``mime`` item                none
JP2      box ``uuid`` ``JpgTiffExif->JP2``    box ``uuid`` ``BE7ACFCB…``     box ``uuid`` ``33C7A4D2…``
======== ==================================== ============================== ==============================

The layouts of :mod:`~iiif_server.imaging.jpeg` and :mod:`~iiif_server.imaging.png` have the blocks at hand,
to be given to :func:`read_credit`; other formats are opened by Pillow, for :func:`credit_of`. Not looked for:
blocks in GIF and BMP, the further parts of XMP that is split over JPEG segments (the first one holds the
rights), and PNG's old ``Raw profile`` texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from PIL import Image

from iiif_server.imaging.credit import tiff
from iiif_server.imaging.credit.exif import read_exif, read_texts
from iiif_server.imaging.credit.iptc import IPTC_RESOURCE, read_iptc
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.xmp import MAX_BYTES, read_xmp

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF_UUID = b"JpgTiffExif->JP2"
_IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_TAGS = frozenset({tiff.ARTIST, tiff.COPYRIGHT, tiff.XMP, tiff.IPTC, tiff.PHOTOSHOP})
_MAX_BOXES = 1000


class Blocks(NamedTuple):
    """The metadata blocks of a source, as they are stored; None for one that it lacks."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None


def read_credit(exif: bytes | None, xmp: bytes | None, iptc: bytes | None) -> Credit:
    """What blocks of metadata say together; damage costs the damaged block at most, and nothing is raised.

    Each property comes from the first block that has it: XMP, then IPTC-IIM, then EXIF. Whoever edits rights
    edits XMP, the only one that holds them all and says its encoding; EXIF's Artist is mostly what a camera
    was set to.

    Args:
        exif: an EXIF block, with or without its signature.
        xmp: an XMP packet.
        iptc: IIM data, bare or among Photoshop's image resources.

    Raises:
        MemoryError: there was none left; nothing else.
    """
    credit = _guarded(read_xmp, xmp)
    return credit.or_else(_guarded(read_iptc, iptc)).or_else(_guarded(read_exif, exif))


def credit_of(image: Image.Image) -> Credit:
    """What an image's metadata says, as Pillow opened it: to be asked before its pixels are loaded.

    Raises:
        MemoryError: there was none left; nothing else.
    """
    try:
        file = getattr(image, "fp", None)
        if image.format == "TIFF":
            return credit_of_tiff(file) if file else Credit()
        if image.format == "JPEG2000":
            return read_credit(*jp2_blocks(file)) if file else Credit()
        resources = image.info.get("photoshop")
        iptc = resources.get(IPTC_RESOURCE) if isinstance(resources, dict) else None
        return read_credit(image.info.get("exif"), image.info.get("xmp"), iptc)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - files that fail, blocks of other types: they count as absent
        return Credit()


def credit_of_tiff(file: IO[bytes]) -> Credit:
    """What the first directory of a TIFF file says; the file stands afterwards where it stood.

    Raises:
        OSError: the file can't be read.
    """
    before = file.tell()
    try:
        tags = tiff.first_directory(file, _TAGS, MAX_BYTES)
    finally:
        file.seek(before)
    iptc = _in_order(tags.get(tiff.IPTC, b"")) or tags.get(tiff.PHOTOSHOP)
    texts = read_texts(tags.get(tiff.ARTIST, b""), tags.get(tiff.COPYRIGHT, b""))
    return read_credit(None, tags.get(tiff.XMP), iptc).or_else(texts)


def jp2_blocks(file: IO[bytes]) -> Blocks:
    """The first ``uuid`` boxes of each kind in a JP2 file (ISO/IEC 15444-1, annex I), of 1 MiB at most.

    The file stands afterwards where it stood.

    Raises:
        OSError: the file can't be read.
    """
    found: dict[bytes, bytes] = {}
    before = file.tell()
    try:
        for start, size in _uuid_boxes(file):
            file.seek(start)
            kind = file.read(16)
            if kind in {XMP_UUID, _EXIF_UUID, _IPTC_UUID} and kind not in found:
                found[kind] = file.read(min(max(0, size - 16), MAX_BYTES))
    finally:
        file.seek(before)
    return Blocks(found.get(_EXIF_UUID), found.get(XMP_UUID), found.get(_IPTC_UUID))


def _guarded(read: Callable[[bytes], Credit], block: bytes | None) -> Credit:
    try:
        return read(block) if block else Credit()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - metadata is never fatal, even where a reader has a fault
        return Credit()


def _in_order(iptc: bytes) -> bytes:
    """IPTC data that was stored in 32-bit words of the other byte order, set right."""
    if iptc[:1] != b"\x1c" and iptc[3:4] == b"\x1c":
        return b"".join(iptc[at : at + 4][::-1] for at in range(0, len(iptc), 4))
    return iptc


def _uuid_boxes(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Where the contents of each ``uuid`` box of the file start, and how long they are."""
    at, end = 0, file.seek(0, os.SEEK_END)
    for _ in range(_MAX_BOXES):
        file.seek(min(at, end))
        header = file.read(16)
        if len(header) < 8:
            return
        size, head = int.from_bytes(header[:4]), 8
        if size == 1:
            size, head = int.from_bytes(header[8:]), 16
        if size == 0:
            size = end - at
        if size < head:
            return
        if header[4:8] == b"uuid":
            yield at + head, size - head
        at += size
