"""Artist and Copyright in an EXIF block (Exif 3.0; TIFF 6.0, section 8).

Reading is done here because Pillow, made for all of EXIF, copies every tag, takes texts for Latin-1, and does
not know the type UTF-8 of Exif 3.0.
"""

from __future__ import annotations

import csv
from struct import error, unpack_from

from PIL import ExifTags, Image

from iiif_server.imaging.credit.model import Credit, decoded, plain

ARTIST, COPYRIGHT = int(ExifTags.Base.Artist), int(ExifTags.Base.Copyright)
SIGNATURE = b"Exif\0\0"
_BYTE, _ASCII, _UNDEFINED, _UTF8 = 1, 2, 7, 129
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# RELIABILITY: cameras write some 20 entries and a few dozen bytes; what is beyond this is not read.
_MAX_ENTRIES = 1000
_MAX_BYTES = 1 << 16


def read_exif(block: bytes) -> Credit:
    """What an EXIF block says, with or without its signature, as far as it goes if it is cut short."""
    tags = _texts(block)
    return Credit(
        creators=_split(decoded(tags.get(ARTIST, b"").replace(b"\0", b";"))),
        # The photographer's notice and the editor's, with a NUL between them.
        copyright_notice="; ".join(filter(None, map(plain, decoded(tags.get(COPYRIGHT, b"")).split("\0")))),
    )


def exif_block(credit: Credit) -> bytes:
    """An EXIF block of Artist and Copyright and no other tag, signature included; empty if there is neither.

    The type is ASCII, its content UTF-8, as most software writes it: few read the type of Exif 3.0 yet.
    """
    return tags_block(*exif_texts(credit))


def exif_texts(credit: Credit) -> tuple[bytes, bytes]:
    """The contents of Artist and Copyright."""
    return "; ".join(map(_quoted, credit.creators)).encode(), credit.copyright_notice.encode()


def tags_block(artist: bytes, copyright_notice: bytes) -> bytes:
    """The contents of two tags as an EXIF block."""
    exif = Image.Exif()
    for tag, content in ((ARTIST, artist), (COPYRIGHT, copyright_notice)):
        if content:
            exif[tag] = content
    return exif.tobytes() if len(exif) else b""


def _texts(block: bytes) -> dict[int, bytes]:
    """The contents of the wanted tags in the first directory."""
    start = len(SIGNATURE) if block.startswith(SIGNATURE) else 0
    order = _ORDERS.get(block[start : start + 4])
    found: dict[int, bytes] = {}
    try:
        if order is None:
            return found
        directory = start + unpack_from(f"{order}L", block, start + 4)[0]
        count = min(unpack_from(f"{order}H", block, directory)[0], _MAX_ENTRIES)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, length, offset = unpack_from(f"{order}HHLL", block, at)
            if tag in {ARTIST, COPYRIGHT} and kind in {_BYTE, _ASCII, _UNDEFINED, _UTF8}:
                place = at + 8 if length <= 4 else start + offset
                found.setdefault(tag, block[place : place + min(length, _MAX_BYTES)])
    except error:
        pass  # cut short: what was found before counts
    return found


def _split(artists: str) -> tuple[str, ...]:
    """Names parted by semicolons; one that holds a semicolon stands in double quotes (MWG 2.0)."""
    try:
        return tuple(next(csv.reader([plain(artists)], delimiter=";", skipinitialspace=True), ()))
    except csv.Error:
        return (artists,)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if ";" in name or name.startswith('"') else name
