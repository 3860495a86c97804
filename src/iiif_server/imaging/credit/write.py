"""Put credit into derivatives: by what Pillow saves beside the pixels, or into a file that is finished.

======== ================================================ =======================
format   by :func:`credit_options`                        by :func:`with_credit`
======== ================================================ =======================
jpg      APP1 EXIF and XMP                                the same
png      ``eXIf``, ``iTXt``
webp     ``EXIF``, ``XMP``
tif      tags 315, 33432 and 700
avif     items of EXIF and XMP
jp2                                                       box ``uuid`` of XMP
gif                                                       application extension XMP
pdf      Author                                           metadata stream of XMP
======== ================================================ =======================

The same credit makes the same bytes. EXIF holds Artist and Copyright only: an orientation never comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import PdfParser, PngImagePlugin

from iiif_server.iiif.parameters import Format
from iiif_server.imaging.credit import tiff
from iiif_server.imaging.credit.exif import exif_block, exif_texts
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.sources import XMP_UUID
from iiif_server.imaging.jpeg import XMP_SIGNATURE

_MAX_SEGMENT = 65_533
"""Bytes of a JPEG segment (ITU-T T.81, B.1.1.4), without its length."""


def credit_options(credit: Credit, target: Format) -> dict[str, Any]:
    """Keyword arguments for Pillow's ``save`` in this format; none for what it can't write there."""
    if not credit:
        return {}
    exif, xmp = exif_block(credit), xmp_packet(credit)
    if target is Format.JPG and not _segments(credit):
        return {}
    if target in {Format.JPG, Format.WEBP, Format.AVIF}:
        return _given(exif=exif, xmp=xmp)
    if target is Format.PNG:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return _given(exif=exif, pnginfo=info)
    if target is Format.TIF:
        artist, notice = exif_texts(credit)
        tags = {tiff.ARTIST: artist, tiff.COPYRIGHT: notice, tiff.XMP: xmp}
        return {"tiffinfo": {tag: content for tag, content in tags.items() if content}}
    if target is Format.PDF:
        return _given(author="; ".join(credit.creators))
    return {}


def with_credit(data: bytes, credit: Credit, target: Format) -> bytes:
    """A finished file with the credit put in; as it is if only an encoder can do that, or without credit."""
    insert = _INSERTIONS.get(target)
    return insert(data, credit) if credit and insert else data


def with_credit_jpeg(data: bytes, credit: Credit) -> bytes:
    """A finished JPEG file with the segments of EXIF and XMP behind its JFIF header; all else as it is.

    Data comes back as it is if it has these segments there already, if it is no JPEG file, or if a block is
    larger than a segment holds.
    """
    segments = _segments(credit)
    if not segments or not data.startswith(b"\xff\xd8"):
        return data
    at = 2
    while data[at : at + 2] == b"\xff\xe0":
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return data if data.startswith(segments, at) else data[:at] + segments + data[at:]


def with_credit_gif(data: bytes, credit: Credit) -> bytes:
    """A finished GIF file with XMP as an application extension (XMP Specification Part 3)."""
    if not data.startswith((b"GIF87a", b"GIF89a")) or len(data) < 13:
        return data
    head = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    # Whichever byte of the packet a reader takes for a block's length, the trailer leads it to the end.
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    extension = b"\x21\xff\x0bXMP DataXMP" + xmp_packet(credit) + trailer
    return b"GIF89a" + data[6:head] + extension + data[head:]


def with_credit_jp2(data: bytes, credit: Credit) -> bytes:
    """A finished JP2 file with XMP as a ``uuid`` box before its codestream (XMP Specification Part 3)."""
    if data[4:8] != b"jP  ":
        return data
    at = 0
    while data[at + 4 : at + 8] != b"jp2c":
        size = int.from_bytes(data[at : at + 4])
        if size < 8 or at + size >= len(data):
            return data
        at += size
    packet = xmp_packet(credit)
    box = (24 + len(packet)).to_bytes(4) + b"uuid" + XMP_UUID + packet
    return data[:at] + box + data[at:]


def with_credit_pdf(data: bytes, credit: Credit) -> bytes:
    """A finished PDF file of ours with XMP as its metadata stream, an update (ISO 32000-1, 7.5.6, 14.3.2)."""
    if not data.startswith(b"%PDF-"):
        return data
    pdf = PdfParser.PdfParser(buf=data)
    root = pdf.root_ref
    assert root is not None
    packet, stream = xmp_packet(credit), pdf.next_object_id(0)
    catalog = PdfParser.PdfDict({**pdf.root, b"Metadata": stream})
    kind = b"<< /Type /Metadata /Subtype /XML /Length %d >>" % len(packet)
    first = b"\n%d %d obj\n%s\nendobj\n" % (root.object_id, root.generation, bytes(catalog))
    second = b"%d 0 obj\n%s\nstream\n%s\nendstream\nendobj\n" % (stream.object_id, kind, packet)
    places = {root.object_id: len(data) + 1, stream.object_id: len(data) + len(first)}
    table = b"".join(b"%d 1\n%010d 00000 n \n" % place for place in sorted(places.items()))
    trailer = PdfParser.PdfDict(iter(pdf.trailer_dict.items()))
    trailer[b"Size"], trailer[b"Prev"] = stream.object_id + 1, pdf.last_xref_section_offset
    start = len(data) + len(first) + len(second)
    end = b"trailer\n%s\nstartxref\n%d\n%%%%EOF" % (bytes(trailer), start)
    return data + first + second + b"xref\n" + table + end


_INSERTIONS: dict[Format, Callable[[bytes, Credit], bytes]] = {
    Format.JPG: with_credit_jpeg,
    Format.GIF: with_credit_gif,
    Format.JP2: with_credit_jp2,
    Format.PDF: with_credit_pdf,
}


def _segments(credit: Credit) -> bytes:
    """APP1 segments of EXIF and XMP; none if one would be too large."""
    exif, xmp = exif_block(credit), xmp_packet(credit)
    payloads = [payload for payload in (exif, XMP_SIGNATURE + xmp if xmp else b"") if payload]
    if any(len(payload) > _MAX_SEGMENT for payload in payloads):
        return b""
    return b"".join(b"\xff\xe1" + (len(payload) + 2).to_bytes(2) + payload for payload in payloads)


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value}
