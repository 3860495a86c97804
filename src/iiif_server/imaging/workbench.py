"""A worker's workbench: what it is asked to do, and what it keeps open and decoded between tasks."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from lru import LRU
from PIL import Image

from iiif_server.errors import IIIFServerError, RenderFailed, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import level_size
from iiif_server.imaging.codecs import versions
from iiif_server.imaging.cost import decoding_memory, finishing_memory, sheet_memory
from iiif_server.imaging.credit.model import NO_CREDIT, Credit
from iiif_server.imaging.credit.write import with_credit_jpeg
from iiif_server.imaging.decode import checked_jpeg, decode_level
from iiif_server.imaging.decoding import Decoding
from iiif_server.imaging.encode import available_formats, encoded
from iiif_server.imaging.levels import LevelCache
from iiif_server.imaging.lossless import cut, load_library, stored_tile, transform
from iiif_server.imaging.plan import Copy, Lossless, PassTile, Render, on_copy, plan, plan_render, sheet
from iiif_server.imaging.pyramids.build import Renderer, build_pyramid, open_target
from iiif_server.imaging.pyramids.index import tile_request, tiles_of
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.readers.jpeg import JpegSource
from iiif_server.imaging.readers.registry import Reader, open_source
from iiif_server.imaging.steps import assembled, scaled, tilted, turned
from iiif_server.imaging.stopwatch import Stopwatch
from iiif_server.imaging.tasks import (
    PyramidTask,
    RenderSettings,
    RenderTask,
    SourceFile,
    WorkbenchSettings,
)

_MOST = 4
"""Bytes that Pillow has for a pixel, at most."""
_UNNOTICED = 64 * 1024**2
"""Bytes that light work takes without anything being let go for it."""


@dataclass(slots=True)
class Opened:
    """A source, what opened it, and its credit once it was asked for."""

    reader: Reader
    source: Source
    _credit: Credit | None = None
    _decoding: Decoding | None = None

    @property
    def decoding(self) -> Decoding:
        """What decoding it takes."""
        if self._decoding is None:
            self._decoding = self.source.decoding(self.reader.format.media_type)
        return self._decoding

    def credit(self, settings: RenderSettings) -> Credit:
        """What is to go with a derivative."""
        if not settings.keep_metadata:
            return NO_CREDIT
        if self._credit is None:
            self._credit = self.source.credit()
        return self._credit


Handler = Callable[[Any], tuple[dict[str, Any], bytes]]


def create(settings: WorkbenchSettings) -> Mapping[str, Handler]:
    """Set up a worker: its handlers by the name of the task."""
    workbench = Workbench(settings)
    return {
        "abilities": workbench.abilities,
        "probe": workbench.probe,
        "render": workbench.render,
        "tiles": workbench.tiles,
        "pyramid": workbench.pyramid,
    }


class Workbench:
    """Probes and renders; keeps the sources that were used last open, and their decoded levels.

    What is kept changes how fast an answer comes, never the answer.
    """

    def __init__(self, settings: WorkbenchSettings) -> None:
        self._settings = settings
        self._sources: Any = LRU(max(1, settings.open_sources), callback=_close)
        self._levels = LevelCache(settings.decoded_bytes)
        self._library = load_library()
        self._watch = Stopwatch()
        self._begun_sheet: Future[Mapping[Rectangle, bytes]] | None = None

    def abilities(self, _: None) -> tuple[dict[str, Any], bytes]:
        """Tell what is installed here: lossless JPEG work, formats to write, and a fingerprint of the codecs.

        The fingerprint belongs into cache keys: another codec makes other bytes of the same request.
        """
        codecs = ", ".join(f"{name} {version}" for name, version in versions().items())
        formats = [str(item) for item in available_formats()]
        return {"lossless": self._library is not None, "codecs": codecs, "formats": formats}, b""

    def probe(self, file: SourceFile) -> tuple[dict[str, Any], bytes]:
        """Tell a source's properties from its header."""
        opened = self._open(file)
        media_type = opened.reader.format.media_type
        return opened.source.header.properties(media_type, opened.decoding).to_json(), b""

    def tiles(self, file: SourceFile) -> tuple[dict[str, Any], bytes]:
        """Tell where the tiles lie that may be passed on as they are: a packed :class:`TileIndex`."""
        return self._open(file).source.header.tile_index().pack()

    def render(self, task: RenderTask) -> tuple[dict[str, Any], bytes]:
        """Make a derivative; the first part of the answer says by which lane, and how long each step took."""
        self._watch = Stopwatch()
        lane, data = self._derivative(task)
        return {"lane": lane} | self._watch.to_meta(), data

    def _derivative(self, task: RenderTask) -> tuple[str, bytes]:
        with self._watch.step("open"):
            opened = self._open(task.source)
        source, credit = opened.source, opened.credit(task.settings)
        task = replace(task, operation=on_copy(task.operation, source.header.size))
        chosen = plan(source.header, task.operation, task.settings)
        if isinstance(chosen, Copy):
            assert isinstance(source, JpegSource)
            with self._watch.step("copy"):
                data = checked_jpeg(source, self._settings.limits.max_pixels)
                return "copy", with_credit_jpeg(data, credit)
        if isinstance(chosen, Lossless):
            assert isinstance(source, JpegSource)
            cuts_sheet = chosen.is_tile and not task.is_alone
            with self._watch.step("transform"):
                moved = self._transform(task.source, source, chosen, cuts_sheet=cuts_sheet)
            if moved is not None:
                return "lossless", with_credit_jpeg(moved, credit)
            chosen = plan_render(source.header, task.operation)
        if isinstance(chosen, PassTile):
            with self._watch.step("transform" if chosen.change else "copy"):
                tile = stored_tile(source, chosen, self._library, self._settings.limits)
            if tile is not None:
                return "lossless" if chosen.change else "copy", with_credit_jpeg(tile, credit)
            chosen = plan_render(source.header, task.operation)
        return "pixels", self._pixels(source, chosen, task, credit)

    def pyramid(self, task: PyramidTask) -> tuple[dict[str, Any], bytes]:
        """Build a pyramid; the answer tells its bytes and tiles, or why it is left out.

        The tiles are made by a workbench of their own: what they need is decoded once, however much it is.
        """
        self._levels.clear()
        bench = Workbench(replace(self._settings, open_sources=1, decoded_bytes=sys.maxsize))
        try:
            source = bench._open(task.source).source
            if source.header.parts:
                return {"left_out": "it is stored in tiles, which are served as they are"}, b""
            renderer = Renderer(
                lambda operation: bench.render(RenderTask(task.source, operation, task.settings))[1],
                bench._levels.clear,
                lambda operation: plan_render(source.header, operation).reduction,
            )
            with open_target(task.target, task.inode) as out, ThreadPoolExecutor(1) as thread:
                bench._begin_sheet(source, task.settings, thread)
                built = build_pyramid(renderer, source.header.size, task.settings, out, task.max_bytes)
        except OSError as error:
            raise RenderFailed("The pyramid could not be written.", log=str(error)) from error
        finally:
            bench.close()
        return built._asdict(), b""

    def close(self) -> None:
        """Close the sources."""
        for opened in self._sources.values():
            opened.source.close()
        self._sources.clear()

    def __del__(self) -> None:
        self.close()

    def _begin_sheet(self, source: Source, settings: RenderSettings, thread: Executor) -> None:
        """Cut the sheet beside what the other levels need: nearly all of it work in C, on the same data."""
        header = source.header
        first = tile_request(header.size, tiles_of(header.size, 1)[0], 1)
        if self._library is not None and isinstance(plan(header, first, settings), Lossless):
            assert isinstance(source, JpegSource)
            source.hold()
            self._begun_sheet = thread.submit(
                cut, self._library, source.data(), sheet(header), spares_memory=True
            )

    def _cut_sheet(self, source: JpegSource) -> Mapping[Rectangle, bytes]:
        begun, self._begun_sheet = self._begun_sheet, None
        if begun is None:
            self._levels.make_room(sheet_memory(source.header.size, source.decoding("image/jpeg")))
        return cut(self._library, source.data(), sheet(source.header)) if begun is None else begun.result()

    def _transform(
        self, file: SourceFile, source: JpegSource, chosen: Lossless, *, cuts_sheet: bool
    ) -> bytes | None:
        library, limits = self._library, self._settings.limits
        if library is None:
            return None
        if chosen.crop is None or not cuts_sheet or not self._levels.holds(source.size):
            return transform(library, source.data(), chosen, limits)
        tiles = self._levels.get((file, "sheet"), lambda: self._cut_sheet(source))
        if (tile := tiles.get(chosen.crop)) is None:
            return None
        return transform(library, tile, replace(chosen, crop=None), limits)

    def _pixels(self, source: Source, chosen: Render, task: RenderTask, credit: Credit) -> bytes:
        level = self._level(task.source, source, chosen)
        needs = finishing_memory(
            self._open(task.source).decoding, task.operation, chosen, Dimensions(*level.size)
        )
        if needs > _UNNOTICED:  # for a tile, no level is let go
            self._levels.make_room(needs)
        try:
            with self._watch.step("scale"):
                image = tilted(turned(scaled(level, chosen.box, chosen.size), chosen.turn), chosen.angle)
            with self._watch.step("encode"):
                return encoded(image, task.operation.quality, task.operation.format, task.settings, credit)
        except (IIIFServerError, MemoryError):
            raise
        except Exception as error:
            raise RenderFailed(
                "The image could not be made.", log=f"{type(error).__name__}: {error}"
            ) from error

    def _level(self, file: SourceFile, source: Source, chosen: Render) -> Image.Image:
        reduction, part, shrink = chosen.reduction, chosen.part, chosen.shrink

        def decode() -> Image.Image:
            self._make_room(file, level_size(source.header.stored, reduction), part)
            return self._decode(file, source, reduction, part)

        def averaged(level: Image.Image) -> Image.Image:
            with self._watch.step("scale"):
                return level.reduce(shrink)

        if part is not None:  # of no use to the neighbours
            return averaged(decode()) if shrink > 1 else decode()

        def average() -> Image.Image:
            return averaged(self._levels.get((file, reduction, 1), decode))

        return self._levels.get((file, reduction, shrink), decode if shrink == 1 else average)

    def _decode(
        self, file: SourceFile, source: Source, reduction: int, part: Rectangle | None
    ) -> Image.Image:
        """Decode a level, or a part of it; by pieces, which neighbours need as well, where there are such."""
        header, max_pixels = source.header, self._settings.limits.max_pixels
        level = level_size(header.stored, reduction)

        def decode(wanted: Rectangle | None) -> Image.Image:
            return decode_level(source, reduction, wanted, max_pixels, self._watch)

        if part is None or header.pieces is None or not self._levels.holds(_MOST * part.width * part.height):
            return decode(part)
        if not header.pieces.pays(part, level, reduction):
            return decode(part)
        pieces = header.pieces.touched(part, level, reduction)
        try:
            return assembled(
                part,
                (
                    (piece, self._levels.get((file, reduction, piece), functools.partial(decode, piece)))
                    for piece in pieces
                ),
            )
        except (UnreadableSource, SourceTooLarge):
            return decode(part)  # a piece may hold more tiles than are touched

    def _make_room(self, file: SourceFile, level: Dimensions, part: Rectangle | None) -> None:
        """Let go of levels, so that they and what is decoded now take no more than levels may."""
        needs = decoding_memory(self._open(file).decoding, prod(part.size if part else level))
        if part is None or needs > _UNNOTICED:
            self._levels.make_room(needs)

    def _open(self, file: SourceFile) -> Opened:
        opened: Opened | None = self._sources.get(file)
        if opened is None:
            opened = Opened(*open_source(file, self._settings.limits))
            self._sources[file] = opened
        return opened


def _close(_: SourceFile, opened: Opened) -> None:
    opened.source.close()
