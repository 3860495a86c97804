"""Answer an info.json request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.iiif.uri import Identifier
from iiif_server.iiif.version import ApiVersion, Description
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

    async def info(self, identifier: Identifier, image_id: str, api: ApiVersion) -> InfoDocument:
        """The document of an image, whose base URI is ``image_id``, as a version of the API has it.

        Raises:
            NotFound: there is no such profile or image.
        """
        profile, info = await self.infos.get(identifier)
        rights = info.rights or profile.options.rights
        description = Description(
            image_id, info.size, self.limits, self.min_size, rights, info.has_color, self.formats
        )
        return InfoDocument(info, profile.options.cache_for, api.document(description))
