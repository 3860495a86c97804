"""Artist and Copyright in an EXIF block (Exif 3.0)."""

from __future__ import annotations

import csv
from io import BytesIO

from PIL import Image

from iiif_server.imaging.credit.model import Credit, decoded, plain
from iiif_server.imaging.credit.tiff import ARTIST, COPYRIGHT, first_directory

SIGNATURE = b"Exif\0\0"
# RELIABILITY: a JPEG file's whole block has at most this much.
_MAX_BYTES = 1 << 16


def read_exif(block: bytes) -> Credit:
    """What an EXIF block says, with or without its signature, as far as it goes if it is cut short."""
    tags = first_directory(BytesIO(block.removeprefix(SIGNATURE)), {ARTIST, COPYRIGHT}, _MAX_BYTES)
    return read_texts(tags.get(ARTIST, b""), tags.get(COPYRIGHT, b""))


def read_texts(artist: bytes, notice: bytes) -> Credit:
    """What the contents of the tags Artist and Copyright say."""
    return Credit(
        creators=_split(decoded(artist.replace(b"\0", b";"))),
        # The photographer's notice and the editor's, with a NUL between them.
        copyright_notice="; ".join(filter(None, map(plain, decoded(notice).split("\0")))),
    )


def exif_block(credit: Credit) -> bytes:
    """An EXIF block of Artist and Copyright and no other tag, signature included; empty if there is neither.

    The type is ASCII, its content UTF-8, as most software writes it: few read the type of Exif 3.0 yet.
    """
    exif = Image.Exif()
    for tag, content in zip((ARTIST, COPYRIGHT), exif_texts(credit), strict=True):
        if content:
            exif[tag] = content
    return exif.tobytes() if len(exif) else b""


def exif_texts(credit: Credit) -> tuple[bytes, bytes]:
    """The contents of Artist and Copyright."""
    return "; ".join(map(_quoted, credit.creators)).encode(), credit.copyright_notice.encode()


def _split(artists: str) -> tuple[str, ...]:
    """Names parted by semicolons; one that holds a semicolon stands in double quotes (MWG 2.0)."""
    try:
        return tuple(next(csv.reader([plain(artists)], delimiter=";", skipinitialspace=True), ()))
    except csv.Error:
        return (artists,)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if ";" in name or name.startswith('"') else name
