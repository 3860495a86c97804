"""Answer an info.json request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iiif_server.iiif import v3
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.iiif.uri import Identifier
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.infos import InfoService


@dataclass(frozen=True, slots=True)
class InfoDocument:
    """An image information document, and the image it is about."""

    info: ImageInfo
    cache_for: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DocumentService:
    """Makes image information documents.

    Attributes:
        infos: what is known of the images.
        limits: the largest result that is made.
        min_size: the shortest side that ``sizes`` goes down to, in pixels.
        formats: every format that is served.
    """

    infos: InfoService
    limits: Limits
    min_size: int
    formats: frozenset[Format]

    async def info(self, identifier: Identifier, image_id: str) -> InfoDocument:
        """The document of an image, whose base URI is ``image_id``.

        Raises:
            NotFound: there is no such profile or image.
        """
        profile, info = await self.infos.get(identifier)
        content = v3.info_document(
            image_id,
            info.size,
            limits=self.limits,
            min_size=self.min_size,
            rights=info.rights or profile.options.rights,
            has_color=info.has_color,
            formats=self.formats,
        )
        return InfoDocument(info, profile.options.cache_for, content)
