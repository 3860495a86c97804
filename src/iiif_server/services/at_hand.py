"""Derivatives that no worker has to make: stored tiles at hand, and what the cache has."""

from __future__ import annotations

from typing import NamedTuple

from iiif_server.caches.tiers import DerivativeCache
from iiif_server.iiif.uri import Identifier
from iiif_server.profiles.base import ImageInfo
from iiif_server.services.image_requests import ImageRequest, PreparedImage
from iiif_server.services.preparing import Preparation
from iiif_server.services.tiles import TileService
from iiif_server.telemetry.timings import Tier


class Found(NamedTuple):
    """A derivative: of which request, all of its bytes, and where they come from."""

    prepared: PreparedImage
    body: bytes
    tier: Tier


class AtHand:
    """Answers some requests with less than :class:`~iiif_server.services.images.ImageService` does.

    Only of images that the profile need not be asked for at the moment.

    Args:
        preparation: resolves requests.
        cache: where derivatives are kept.
        tiles: copies stored tiles, if there is such a thing.
    """

    def __init__(
        self,
        preparation: Preparation,
        cache: DerivativeCache,
        tiles: TileService | None,
    ) -> None:
        self._preparation = preparation
        self._cache = cache
        self._tiles = tiles

    def may_have_tiles(self, identifier: Identifier) -> bool:
        """Tell whether to ask for a stored tile of an image; never waits.

        Raises:
            ProfileNotFound: the identifier's profile is not configured.
        """
        return self._tiles is not None and self._preparation.may_have_tiles(identifier)

    def stored_tile(self, request: ImageRequest) -> Found | None:
        """A stored tile that is at hand; never waits.

        Raises:
            IIIFServerError: as :meth:`Preparation.prepare`.
        """
        prepared = self._preparation.at_once(request)
        if self._tiles is None or prepared is None or not self._preparation.may_be_stored(prepared):
            return None
        tile = self._tiles.copy_at_once((request.identifier, prepared.info.version), prepared.operation)
        return None if tile is None else Found(prepared, tile, Tier.SOURCE)

    def recall(self, identifier: Identifier, info: ImageInfo, key: str) -> bytes | None:
        """A derivative's bytes, if they are in memory and known to be right at the moment.

        Args:
            identifier: of the image.
            info: that the derivative was made by.
            key: of the derivative.
        """
        return self._cache.recall(key) if self._preparation.is_known(identifier, info) else None

    def resolve(self, request: ImageRequest) -> PreparedImage | None:
        """A request resolved, if the profile need not be asked; never waits.

        Raises:
            IIIFServerError: as :meth:`Preparation.prepare`.
        """
        return self._preparation.at_once(request)
