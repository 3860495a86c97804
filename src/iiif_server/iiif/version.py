"""What the versions of the Image API have in common: the interface that each one fills in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import TILE, Limits, advertised_sizes, tile_grid
from iiif_server.iiif.links import Links, physical_dimensions
from iiif_server.iiif.parameters import Format, Size
from iiif_server.iiif.resolve import Operation


@dataclass(frozen=True, slots=True)
class Description:
    """What an image information document states.

    Attributes:
        image_id: the image's base URI.
        image: the upright image's size in pixels.
        limits: what is enforced, and therefore stated as ``maxWidth``, ``maxHeight`` and ``maxArea``.
        min_size: the shortest side that ``sizes`` goes down to, in pixels.
        rights: a licence or rights statement URI.
        has_color: whether the image is more than gray; if not, ``color`` is not offered.
        formats: every format that is served.
        preferred_formats: those of them that clients should ask for, best first.
        links: what info.json links to, filled in for this image.
        resolution: pixels per inch of the image, where that is to be stated.
        tile: the size of tile that comes cheapest.
    """

    image_id: str
    image: Dimensions
    limits: Limits
    min_size: int
    rights: str | None
    has_color: bool
    formats: Collection[Format]
    preferred_formats: Sequence[Format] = ()
    links: Links = field(default_factory=Links)
    resolution: float | None = None
    tile: Dimensions = TILE

    def maxima(self) -> dict[str, int]:
        """The limits, by the names that both versions give them."""
        limits = self.limits
        found = {"maxWidth": limits.max_width, "maxHeight": limits.max_height, "maxArea": limits.max_area}
        return {key: value for key, value in found.items() if value is not None}

    def sizes_and_tiles(self) -> dict[str, Any]:
        """The properties ``sizes`` and ``tiles``; no tiles where the limits allow none."""
        sizes = advertised_sizes(self.image, self.limits, self.min_size)
        found: dict[str, Any] = {"sizes": [{"width": size.width, "height": size.height} for size in sizes]}
        if grid := tile_grid(self.image, self.limits, self.tile):
            factors = list(grid.scale_factors)
            found["tiles"] = [{"width": grid.width, "height": grid.height, "scaleFactors": factors}]
        return found

    def services(self) -> list[dict[str, Any]]:
        """The services beside the image's own, the physical dimensions last."""
        services = list(self.links.service)
        if self.resolution is not None and 0 < self.resolution < inf:
            services.append(physical_dimensions(f"{self.image_id}/info.json", self.resolution))
        return services

    def extra_formats(self) -> list[str]:
        """The formats beyond those that level 2 asks for."""
        return [str(item) for item in Format if item in self.formats and item not in _LEVEL_2_FORMATS]


@dataclass(frozen=True, slots=True, eq=False)
class ApiVersion:
    """One version of the Image API: where it differs from the other.

    Attributes:
        number: the major version, as it stands in ``/iiif/<number>/``.
        context: the URI of its JSON-LD context.
        profile: the URI of the level that is supported.
        parse_size: reads the size parameter.
        canonical: writes the canonical ``{region}/{size}/{rotation}/{quality}.{format}``.
        document: makes the image information document.
        media_type: the document's type, given whether the client prefers JSON-LD and whether plain JSON;
            neither if it does not care.
    """

    number: int
    context: str
    profile: str
    parse_size: Callable[[str], Size]
    canonical: Callable[[Operation, Limits], str]
    document: Callable[[Description], dict[str, Any]]
    media_type: Callable[[bool, bool], str]


_LEVEL_2_FORMATS = (Format.JPG, Format.PNG)
