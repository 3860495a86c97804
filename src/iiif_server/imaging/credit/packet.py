"""Rights and credit as an XMP packet (ISO 16684-1; forms of values by the IPTC Photo Metadata Standard)."""

from __future__ import annotations

from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.xmp import CC, DC, PHOTOSHOP, PLUS, RDF, RIGHTS

# The begin attribute holds a byte order mark. Nobody is to change the packet in its place: no padding, "r".
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="r"?>'
_PREFIXES = {"dc": DC, "photoshop": PHOTOSHOP, "xmpRights": RIGHTS, "plus": PLUS, "cc": CC}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def xmp_packet(credit: Credit) -> bytes:
    """A packet in UTF-8 of what there is and nothing else, the same each time; empty if there is nothing."""
    owners = [f"<plus:CopyrightOwnerName>{_safe(name)}" for name in credit.copyright_owners]
    licensor = _simple("plus:LicensorName", credit.licensor_name) + _simple(
        "plus:LicensorURL", credit.licensor_url
    )
    body = "".join(
        (
            _array("dc:creator", [f"<rdf:li>{_safe(name)}</rdf:li>" for name in credit.creators]),
            _alternatives("dc:rights", credit.copyright_notice),
            _simple("photoshop:Credit", credit.credit_line),
            _simple("photoshop:Source", credit.source),
            _alternatives("xmpRights:UsageTerms", credit.usage_terms),
            _simple("xmpRights:WebStatement", credit.web_statement),
            _array(
                "plus:CopyrightOwner", [_resource(f"{owner}</plus:CopyrightOwnerName>") for owner in owners]
            ),
            _array("plus:Licensor", [_resource(licensor)] if licensor else []),
            f'<cc:license rdf:resource="{_safe(credit.license_url)}"/>' if credit.license_url else "",
        )
    )
    if not body:
        return b""
    spaces = "".join(f' xmlns:{name}="{uri}"' for name, uri in _PREFIXES.items() if f"<{name}:" in body)
    description = f'<rdf:Description rdf:about=""{spaces}>{body}</rdf:Description>'
    rdf = f'<rdf:RDF xmlns:rdf="{RDF}">{description}</rdf:RDF>'
    return f'{_HEAD}<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>{_TAIL}'.encode()


def _simple(name: str, text: str) -> str:
    return f"<{name}>{_safe(text)}</{name}>" if text else ""


def _alternatives(name: str, text: str) -> str:
    """A language alternative must have a default item (ISO 16684-1, 8.2.2.4)."""
    item = f'<rdf:Alt><rdf:li xml:lang="x-default">{_safe(text)}</rdf:li></rdf:Alt>'
    return f"<{name}>{item}</{name}>" if text else ""


def _array(name: str, items: list[str]) -> str:
    return f"<{name}><rdf:Seq>{''.join(items)}</rdf:Seq></{name}>" if items else ""


def _resource(fields: str) -> str:
    return f'<rdf:li rdf:parseType="Resource">{fields}</rdf:li>'


def _safe(text: str) -> str:
    return text.translate(_ESCAPES)
