"""Build pyramids of files on the spot."""

import os
from pathlib import Path
from typing import Any, Self

from iiif_server.imaging.pyramids.index import Span, TileIndex, read_index, read_tile
from iiif_server.imaging.tasks import PyramidTask, RenderSettings, SourceFile
from iiif_server.imaging.workbench import Workbench

PLENTY = 1 << 30


def task_for(
    source: Path, target: Path, settings: RenderSettings, max_bytes: int = PLENTY, room: int = 0
) -> PyramidTask:
    """What a worker is asked for, with the empty file made; ``room`` is what was reserved in it as a hole."""
    target.write_bytes(b"")
    os.truncate(target, room)
    return PyramidTask(SourceFile(str(source), "1"), settings, str(target), os.stat(target).st_ino, max_bytes)


def build(workbench: Workbench, source: Path, target: Path, settings: RenderSettings) -> dict[str, Any]:
    """Build a pyramid as the server does: in a file with room reserved, cut to its size afterwards."""
    meta, body = workbench.pyramid(task_for(source, target, settings, room=1 << 24))
    assert body == b""
    os.truncate(target, meta.get("size", 0))
    return meta


class Opened:
    """A pyramid that is read as the server reads it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.index: TileIndex = read_index(self._descriptor)

    def read(self, span: Span) -> bytes:
        return read_tile(self._descriptor, span)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)
