"""What a source's header says, as far as planning and describing need it. Plain values, no file."""

from __future__ import annotations

from dataclasses import dataclass

from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.decoding import Decoding, JpegFacts
from iiif_server.imaging.orientation import Symmetry
from iiif_server.imaging.pieces import Pieces
from iiif_server.imaging.tasks import SourceProperties
from iiif_server.imaging.tiles import TileIndex, TileLevel


@dataclass(frozen=True, slots=True)
class Header:
    """What a source's header says; all that planning looks at.

    Attributes:
        stored: the size that decoding gives.
        turn: what sets the decoded image upright.
        has_color: whether gray is less than what there is.
        reductions: the factors by which smaller levels come out of the decoder, ascending from 1. A level has
            the stored size divided by its factor and rounded up.
        parts: whether less than a level can be decoded, for less.
        pieces: what to decode and keep as a whole where parts are wanted; ``None`` if any part costs about
            its share. Only of what is stored upright.
        resolution: pixels per inch, where the source tells it and both directions agree.
        tile: the size of the stored tiles, where that is one to ask for.
        jpeg: more about a JPEG.
        tiles: the levels whose stored tiles may be passed on, ascending by their factors.
    """

    stored: Dimensions
    turn: Symmetry
    has_color: bool
    reductions: tuple[int, ...] = (1,)
    parts: bool = False
    pieces: Pieces | None = None
    resolution: float | None = None
    tile: Dimensions | None = None
    jpeg: JpegFacts | None = None
    tiles: tuple[TileLevel, ...] = ()

    @property
    def size(self) -> Dimensions:
        """The upright image's size."""
        return self.turn.size(self.stored)

    def tile_index(self) -> TileIndex:
        """Where the tiles lie that may be passed on."""
        return TileIndex(self.size, self.tiles)

    def properties(self, media_type: str, decoding: Decoding | None = None) -> SourceProperties:
        """What is told of the source outside of the workers."""
        tile = None if self.tile is None else self.turn.size(self.tile)
        return SourceProperties(*self.size, media_type, self.has_color, self.resolution, tile, decoding)
