"""Blocks of metadata made on the spot, in every form that files have them, and credits by the dozen."""

import io
import struct
from typing import Any

from hypothesis import strategies as st

from iiif_server.imaging.credit.model import MAX_NAMES, MAX_TEXT, Credit
from tests.imaging.helpers import picture

FULL = Credit(
    creators=("Zoë Ågren", 'A; "B" & <C>'),
    copyright_notice="© 2024 Muséum 自然",
    copyright_owners=("Muséum", "The <other> one"),
    credit_line="Muséum / Zoë",
    source="Herbarium",
    usage_terms='CC BY 4.0 & "nothing" else',
    web_statement="https://example.org/rights?a=1&b='2'",
    licensor_name="Licensor & Co",
    licensor_url="https://example.org/license",
    license_url='https://creativecommons.org/licenses/by/4.0/?"',
)
"""Every property, with all that has to be escaped."""

_NAMES = st.lists(st.text(max_size=MAX_TEXT + 5), max_size=MAX_NAMES + 2).map(tuple)
_TEXT = st.text() | st.text(st.characters(categories=["Lu", "Zs", "Po", "Cc", "Cf", "Cs"]))
CREDITS = st.builds(
    Credit,
    creators=_NAMES,
    copyright_notice=_TEXT,
    copyright_owners=_NAMES,
    credit_line=_TEXT,
    source=_TEXT,
    usage_terms=_TEXT,
    web_statement=_TEXT,
    licensor_name=_TEXT,
    licensor_url=_TEXT,
    license_url=_TEXT,
)

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 5.6">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"
    xmlns:cc="http://creativecommons.org/ns#"
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    {attributes}>
{body}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def packet(body: str = "", attributes: str = "") -> bytes:
    """An XMP packet as Adobe's software lays it out."""
    return PACKET.format(body=body, attributes=attributes).encode()


def directory(
    tags: dict[int, bytes], *, order: str = "<", kind: int = 2, big: bool = False, count: int | None = None
) -> bytes:
    """A TIFF file, or an EXIF block without its signature, that has these tags and nothing else."""
    mark = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}H", 43 if big else 42)
    head = mark + (struct.pack(f"{order}HHQ", 8, 0, 16) if big else struct.pack(f"{order}L", 8))
    offset, unit = ("Q", 8) if big else ("L", 4)
    values = len(head) + (8 if big else 2) + (20 if big else 12) * len(tags) + unit
    entries, contents = b"", b""
    for tag, content in tags.items():
        number = len(content) // (4 if kind == 4 else 1) if count is None else count
        entries += struct.pack(f"{order}HH{offset}", tag, kind, number)
        if len(content) <= unit:
            entries += content.ljust(unit, b"\0")
        else:
            entries += struct.pack(f"{order}{offset}", values + len(contents))
            contents += content
    return head + struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + entries + bytes(unit) + contents


def iim(*datasets: tuple[int, int, bytes], utf8: bool = False) -> bytes:
    """IPTC-IIM data sets: record, number, value."""
    marked = ((1, 90, b"\x1b%G"), *datasets) if utf8 else datasets
    return b"".join(struct.pack(">BBBH", 0x1C, *item[:2], len(item[2])) + item[2] for item in marked)


def resource(kind: int, data: bytes, name: bytes = b"") -> bytes:
    """One of Photoshop's image resources."""
    title = bytes([len(name)]) + name
    return (
        b"8BIM"
        + kind.to_bytes(2)
        + title
        + bytes(len(title) % 2)
        + len(data).to_bytes(4)
        + data
        + bytes(len(data) % 2)
    )


def saved(name: str, **options: Any) -> bytes:
    """A picture in one of Pillow's formats."""
    out = io.BytesIO()
    picture(40, 30).save(out, name, **options)
    return out.getvalue()
