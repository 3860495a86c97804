"""What every reader gives: an open source, whose levels can be decoded."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from PIL import Image

from iiif_server.iiif.geometry import Rectangle
from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.decoding import Decoding, typical
from iiif_server.imaging.header import Header


class Decoded(NamedTuple):
    """Pixels as stored, neither turned nor converted, in any of Pillow's modes, and their ICC profile."""

    image: Image.Image
    profile: bytes | None


class Source(ABC):
    """An open source file: one picture of it, and what its header says."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self.file = file
        self.header = header

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return os.fstat(self.file.fileno()).st_size

    @abstractmethod
    def decode(self, reduction: int, part: Rectangle | None) -> Decoded:
        """Decode a level. Whatever the decoder raises comes out; the caller stands guard.

        Args:
            reduction: one of the header's ``reductions``.
            part: of that level as stored, in its pixels; ``None`` is all of it. Only where the header says
                that parts can be decoded.
        """

    def decoding(self, media_type: str) -> Decoding:
        """What decoding it takes: of what is typical of its format, where its reader knows no better."""
        header = self.header
        usual = typical(media_type, has_color=header.has_color)
        return replace(
            usual,
            file=self.size,
            turn=header.turn,
            reductions=header.reductions,
            parts=header.parts,
            jpeg=header.jpeg,
            piece=None if header.pieces is None else header.pieces.tile,  # only of what is stored upright
        )

    def credit(self) -> Credit:
        """What the source's metadata says of rights and credit; damaged metadata says nothing."""
        return Credit()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
