"""Resolve image requests against what is known of their images: all that precedes work, and costs none."""

from __future__ import annotations

from collections.abc import Mapping

from lru import LRU

from iiif_server.caches.keys import derivative_key
from iiif_server.errors import InvalidRequest
from iiif_server.iiif.resolve import resolve
from iiif_server.iiif.uri import Identifier
from iiif_server.imaging.source_formats import TIFF
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.image_requests import ImageRequest, PreparedImage, RenderRules
from iiif_server.services.infos import InfoService
from iiif_server.telemetry.timings import Step

_PREPARED = 1024
"""So many requests are remembered resolved, for when they come again."""


class Preparation:
    """Resolves requests.

    Args:
        infos: what is known of the images.
        rules: what decides derivatives, by the profile's name.
    """

    def __init__(self, infos: InfoService, rules: Mapping[str, RenderRules]) -> None:
        self._infos = infos
        self._rules = rules
        self._prepared: LRU[ImageRequest, PreparedImage] = LRU(_PREPARED)

    async def prepare(self, request: ImageRequest) -> PreparedImage:
        """Resolve a request, asking the profile for the image if need be.

        Raises:
            NotFound: there is no such profile or image.
            InvalidRequest: the parameters do not fit the image or the limits.
            UnsupportedFeature: upscaling is not offered.
        """
        with Step("info"):
            _, info = await self._infos.get(request.identifier)
        return self._remembered(request, info)

    def at_once(self, request: ImageRequest) -> PreparedImage | None:
        """The same, if the profile need not be asked.

        Raises:
            IIIFServerError: as :meth:`prepare`.
        """
        info = self._infos.known(request.identifier)
        return None if info is None else self._remembered(request, info)

    def again(self, prepared: PreparedImage, info: ImageInfo) -> PreparedImage:
        """Resolve a request against another version of its image.

        Raises:
            IIIFServerError: as :meth:`prepare`.
        """
        return self._resolve(prepared.request, info)

    def may_have_tiles(self, identifier: Identifier) -> bool:
        """Tell whether an image that the profile need not be asked for may be stored in tiles.

        Raises:
            ProfileNotFound: the identifier's profile is not configured.
        """
        info = self._infos.known(identifier)
        return info is not None and info.media_type == TIFF.media_type

    def is_known(self, identifier: Identifier, info: ImageInfo) -> bool:
        """Tell whether this is what is known of an image, so that the profile need not be asked."""
        return self._infos.known(identifier) is info

    def may_be_stored(self, prepared: PreparedImage) -> bool:
        """Tell whether to look for a stored tile: of a whole image, a profile may have a smaller copy."""
        settings = self._rules[prepared.request.identifier.profile].settings
        is_tiff = prepared.info.media_type == TIFF.media_type
        return is_tiff and not settings.keep_metadata and not prepared.operation.is_full_region

    def _remembered(self, request: ImageRequest, info: ImageInfo) -> PreparedImage:
        known = self._prepared.get(request)
        if known is None or known.info is not info:
            known = self._prepared[request] = self._resolve(request, info)
        return known

    def _resolve(self, request: ImageRequest, info: ImageInfo) -> PreparedImage:
        profile = self._infos.profile(request.identifier)
        rules = self._rules[request.identifier.profile]
        if request.parameters.format not in rules.formats:
            raise InvalidRequest(
                f"The format {str(request.parameters.format)!r} is not served here; see info.json."
            )
        operation = resolve(request.parameters, info.size, rules.limits)
        key = derivative_key(
            profile=request.identifier.profile,
            name=request.identifier.name,
            page=request.identifier.page,
            version=info.version,
            operation=operation,
            settings=rules.settings,
            renderer=rules.renderer,
        )
        canonical = request.api.canonical(operation, rules.limits)
        return PreparedImage(request, profile, info, operation, canonical, key)
