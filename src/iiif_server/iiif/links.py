"""Links from an image information document to other things, as templates that each image fills in.

Image API 3.0 section 5.8: ``partOf``, ``seeAlso`` and ``service``. In a template's texts, ``{name}`` and the
like stand for what is particular to an image, and ``{{`` and ``}}`` for the braces themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from iiif_server.iiif.uri import Identifier

PLACEHOLDERS = ("id", "identifier", "name", "page", "profile", "base_url")
"""What may stand in braces; :func:`placeholder_values` says what it becomes."""

_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]+", re.ASCII)
_MILLIMETRES_PER_INCH = 25.4
_SAMPLE = "https://example.org/files:a"


@dataclass(frozen=True, slots=True)
class Links:
    """The links of an image, or those of a profile as templates; JSON objects, by the names of version 3.0.

    Attributes:
        part_of: what the image is in, such as a manifest.
        see_also: machine-readable descriptions.
        service: services beside the image's own.
    """

    part_of: tuple[dict[str, Any], ...] = ()
    see_also: tuple[dict[str, Any], ...] = ()
    service: tuple[dict[str, Any], ...] = ()

    def filled(self, values: Mapping[str, str]) -> Links:
        """The same with each placeholder replaced by its value."""
        return Links(*(tuple(_filled(part, values)) for part in (self.part_of, self.see_also, self.service)))


def placeholder_values(identifier: Identifier, image_id: str, base_url: str) -> dict[str, str]:
    """What the placeholders stand for in the links of one image.

    Names are chosen by others: percent-encoded, they can neither end a path segment nor begin a query.

    Args:
        identifier: of the image.
        image_id: its URI.
        base_url: of the server, without a slash at the end.
    """
    return {
        "id": image_id,
        "identifier": str(identifier),
        "name": quote(identifier.name, safe=""),
        "page": str(identifier.page),
        "profile": quote(identifier.profile, safe=""),
        "base_url": base_url,
    }


def physical_dimensions(document_id: str, resolution: float) -> dict[str, Any]:
    """The Physical Dimensions service (annex "Linking to External Services", section 3.3), in millimetres.

    Its own URI and type are what Image API 3.0 section 5.8 asks of every service.

    Args:
        document_id: the URI of the document that it is part of.
        resolution: pixels per inch of the full image.
    """
    return {
        "@context": "http://iiif.io/api/annex/services/physdim/1/context.json",
        "@id": f"{document_id}#physical-dimensions",
        "@type": "Service",
        "profile": "http://iiif.io/api/annex/services/physdim",
        "physicalScale": float(f"{_MILLIMETRES_PER_INCH / resolution:.6g}"),
        "physicalUnits": "mm",
    }


def check_template(text: str) -> str:
    """Return a template as it is.

    Raises:
        ValueError: it has a placeholder that is not known, or a brace that is none's.
    """
    for match in _BRACES.finditer(text):
        name = match[1]
        if name is not None and name not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{name}}}; placeholders: {_KNOWN}")
        if name is None and len(match[0]) == 1:
            raise ValueError(f"a lone '{match[0]}': write it twice, or a placeholder: {_KNOWN}")
    return text


def check_uri_template(text: str) -> str:
    """Return the template of a URI as it is.

    Raises:
        ValueError: it is no template, or what it gives is no URI.
    """
    sample = dict.fromkeys(PLACEHOLDERS, "a") | {"id": _SAMPLE, "base_url": _SAMPLE}
    if not _URI.fullmatch(_filled(check_template(text), sample)):
        raise ValueError("want an address with its scheme, such as 'https://example.org/{name}'")
    return text


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    """A JSON value with the placeholders in all of its texts replaced; its keys stay."""
    match template:
        case str():
            return _BRACES.sub(lambda match: values[match[1]] if match[1] else match[0][0], template)
        case dict():
            return {key: _filled(value, values) for key, value in template.items()}
        case list() | tuple():
            return [_filled(value, values) for value in template]
        case _:
            return template
