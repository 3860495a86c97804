"""Rights and credit in an XMP packet (ISO 16684-1), read as a stream: no tree, no recursion, no entities.

The parser is expat as Python brings it. A packet that has a document type is not given to it, so there are no
entities to declare or to fetch, whatever expat's version; depth and number of elements are bounded beside.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from iiif_server.imaging.credit.model import MAX_NAMES, Credit, plain

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
CC = "http://creativecommons.org/ns#"

# RELIABILITY: a JPEG file's packet has at most 65,502 bytes. Photoshop's history can make others very large,
# but comes after these properties; so the first MiB is read, as if the rest were damaged.
MAX_BYTES = 1 << 20
_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 100
_MAX_VALUES = 4 * MAX_NAMES
# After a handler has raised, expat goes on to the end of what it was given; so it is given little at a time.
_CHUNK = 1 << 16
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]+")

_LICENSOR = f"{PLUS} Licensor"
_OWNER = f"{PLUS} CopyrightOwner"
_ITEM, _ROOT, _RESOURCE = f"{RDF} li", f"{RDF} RDF", f"{RDF} resource"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_PROPERTIES = {
    (f"{DC} creator",): "creators",
    (f"{DC} rights",): "copyright_notice",
    (_OWNER, f"{PLUS} CopyrightOwnerName"): "copyright_owners",
    (f"{RIGHTS} Owner",): "owners",
    (f"{PHOTOSHOP} Credit",): "credit_line",
    (f"{PHOTOSHOP} Source",): "source",
    (f"{RIGHTS} UsageTerms",): "usage_terms",
    (f"{RIGHTS} WebStatement",): "web_statement",
    (_LICENSOR, f"{PLUS} LicensorName"): "licensor_name",
    (_LICENSOR, f"{PLUS} LicensorURL"): "licensor_url",
    (f"{CC} license",): "license_url",
}
_ALTERNATIVES = frozenset({"copyright_notice", "usage_terms"})


def read_xmp(packet: bytes) -> Credit:
    """What a packet says, up to where it is damaged; of texts in several languages the default one."""
    text = _NOT_XML.sub(" ", _decoded(packet[:MAX_BYTES]))
    if "<!DOCTYPE" in text:
        return Credit()
    text = text[text.find("<") :]
    values = _Values()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = values.start
    parser.EndElementHandler = values.end
    parser.CharacterDataHandler = values.text.append
    try:
        for at in range(0, len(text), _CHUNK):
            parser.Parse(text[at : at + _CHUNK], at + _CHUNK >= len(text))
    except (expat.ExpatError, _TooMuch):
        pass  # what was found before counts
    return values.credit()


class _TooMuch(Exception):
    """There are more or deeper elements than a packet needs."""


class _Values:
    """Collects the values of properties while the packet goes by.

    A property is known by its path: the names below ``rdf:RDF`` that are not RDF's own. So arrays,
    alternatives and structures are read in each form that ISO 16684-1, section 7, allows, and a property of
    the same name deeper down, such as an ingredient's, is another one.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self._found: dict[str, list[str]] = {}
        self._paths: list[tuple[str, ...]] = [()]
        self._elements = 0
        self._default = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._paths) > _MAX_DEPTH:
            raise _TooMuch
        path = self._paths[-1]
        if name == _ROOT:
            path = ()
        elif not name.startswith(f"{RDF} "):
            path = (*path, name)
        self._paths.append(path)
        self.text.clear()
        self._default = attributes.get(_LANGUAGE) == "x-default"
        for key, value in attributes.items():
            self._take(path if key == _RESOURCE else (*path, key), value)

    def end(self, name: str) -> None:
        path = self._paths.pop()
        self._take(path, "".join(self.text))
        self.text.clear()
        if path == (_LICENSOR,) and name == _ITEM and self._found.keys() & {"licensor_name", "licensor_url"}:
            # One licensor's name must not be told with another one's address.
            self._found.setdefault("licensor_name", [""])
            self._found.setdefault("licensor_url", [""])

    def credit(self) -> Credit:
        """What was found."""
        owners = self._found.get("copyright_owners") or self._found.get("owners") or []
        return Credit(
            creators=tuple(self._found.get("creators", ())),
            copyright_notice=self._first("copyright_notice"),
            copyright_owners=tuple(owners),
            credit_line=self._first("credit_line"),
            source=self._first("source"),
            usage_terms=self._first("usage_terms"),
            web_statement=self._first("web_statement"),
            licensor_name=self._first("licensor_name"),
            licensor_url=self._first("licensor_url"),
            license_url=self._first("license_url"),
        )

    def _first(self, key: str) -> str:
        return next(iter(self._found.get(key, ())), "")

    def _take(self, path: tuple[str, ...], value: str) -> None:
        key = _PROPERTIES.get(path)
        if key is None or not (value := plain(value)):
            return
        values = self._found.setdefault(key, [])
        if self._default and key in _ALTERNATIVES:
            values.insert(0, value)
        elif len(values) < _MAX_VALUES:
            values.append(value)


def _decoded(packet: bytes) -> str:
    """Packets in files are UTF-8; ISO 16684-1 allows UTF-16 elsewhere."""
    if packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        return packet.decode("utf-16", "replace")
    return packet.decode("utf-8", "replace")
