"""Answer an info.json request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lru import LRU

from iiif_server.iiif.ladder import TILE
from iiif_server.iiif.links import placeholder_values
from iiif_server.iiif.uri import Identifier
from iiif_server.iiif.version import ApiVersion, Description
from iiif_server.profiles.base import ImageInfo, Profile
from iiif_server.services.image_requests import RenderRules
from iiif_server.services.infos import InfoService
from iiif_server.telemetry.timings import Step

_KEPT = 1024
"""So many documents are remembered as they were written."""


@dataclass(frozen=True, slots=True)
class InfoDocument:
    """An image information document, as JSON, and the image it is about."""

    info: ImageInfo
    cache_for: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DocumentService:
    """Makes image information documents.

    Attributes:
        infos: what is known of the images.
        rules: what is made and offered, by the profile's name.
        min_size: the shortest side that ``sizes`` goes down to, in pixels.
        base_url: the configured address of the server, if there is one.
    """

    infos: InfoService
    rules: Mapping[str, RenderRules]
    min_size: int
    base_url: str | None = None
    _kept: LRU[tuple[Identifier, str, int], InfoDocument] = field(
        default_factory=lambda: LRU(_KEPT), init=False, repr=False, compare=False
    )

    async def info(self, identifier: Identifier, image_id: str, api: ApiVersion) -> InfoDocument:
        """The document of an image, whose base URI is ``image_id``, as a version of the API has it.

        Raises:
            NotFound: there is no such profile or image.
        """
        with Step("info"):
            profile, info = await self.infos.get(identifier)
        key = identifier, image_id, api.number
        document = self._kept.get(key)
        if document is None or document.info is not info:
            document = self._kept[key] = self._write(profile, info, identifier, image_id, api)
        return document

    def holds(self, document: InfoDocument, identifier: Identifier) -> bool:
        """Tell whether a document is known to be right at the moment, without asking anybody."""
        return self.infos.known(identifier) is document.info

    def _write(
        self, profile: Profile[Any], info: ImageInfo, identifier: Identifier, image_id: str, api: ApiVersion
    ) -> InfoDocument:
        options, rules = profile.options, self.rules[identifier.profile]
        description = Description(
            image_id=image_id,
            image=info.size,
            limits=rules.limits,
            min_size=self.min_size,
            rights=info.rights or options.rights,
            has_color=info.has_color,
            formats=rules.formats,
            preferred_formats=rules.preferred_formats,
            links=options.links.filled(self._values(identifier, image_id, api)),
            resolution=info.resolution if options.physical_scale else None,
            tile=info.tile or TILE,
        )
        content = json.dumps(api.document(description), ensure_ascii=False, separators=(",", ":"))
        return InfoDocument(info, options.cache_for, content.encode())

    def _values(self, identifier: Identifier, image_id: str, api: ApiVersion) -> dict[str, str]:
        base_url = self.base_url
        if base_url is None:
            # What the request came in under, without the path of the API's version.
            base_url = image_id.removesuffix(f"/{identifier}").removesuffix(f"/iiif/{api.number}")
        return placeholder_values(identifier, image_id, base_url)
