"""One image, as it was looked up."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass

from iiif_server.api import Dimensions, ImageInfo, SourceProperties

from iiif_server_mss.documents import Document
from iiif_server_mss.web import Stamp


@dataclass(frozen=True, slots=True)
class Image:
    """What is known of an image.

    Attributes:
        document: what the catalogue knows.
        stamp: what the headers of the original tell.
        content: stands for the original's bytes: the stamp's digest, or one of the bytes themselves.
        size: in pixels, of the upright image.
        bytes: the original's, if known.
        seen: what the original's header tells, if it was looked at.
    """

    document: Document
    stamp: Stamp
    content: str
    size: Dimensions
    bytes: int | None
    seen: SourceProperties | None = None

    @property
    def info(self) -> ImageInfo:
        """What the server wants to know.

        The version follows what the catalogue says of the files, and the original's bytes. If the catalogue
        is wrong about the size, so does it follow the right one.
        """
        document, seen = self.document, self.seen
        version = f"{document.digest}-{self.content}"
        if document.size not in (None, self.size):
            version += f"-{self.size.width}x{self.size.height}"
        media_type = self.stamp.media_type or mimetypes.guess_type(document.file)[0]
        return ImageInfo(
            document.name,
            self.size.width,
            self.size.height,
            version,
            modified=self.stamp.modified,
            media_type=media_type,
            has_color=seen is None or seen.has_color,
            resolution=seen.resolution if seen else None,
            tile=seen.tile if seen else None,
            decoding=seen.decoding if seen else None,
        )
