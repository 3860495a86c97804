"""What each format can do here, found out by doing it; the tables of ``docs/reference/formats.md``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from iiif_server.errors import ImageNotFound, InvalidRequest, UnreadableSource
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format, Quality, parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.codecs import WRITERS
from iiif_server.imaging.encode import available_formats, encoded
from iiif_server.imaging.readers.registry import READERS, Reader, open_source
from iiif_server.imaging.tasks import (
    RenderSettings,
    RenderTask,
    SourceFile,
    SourceLimits,
    SourceProperties,
    WorkbenchSettings,
)
from iiif_server.imaging.workbench import Workbench
from tests.support.samples import ALPHA, PICTURE, RAMP, SAMPLES

BEGIN, END = "<!-- measured: {} -->", "<!-- end -->"
YES, NO, NEVER = "yes", "no", "–"
ALIKE = 8.0
"""How far, on average, what a lossy format gives may be from what went in, in levels of 255."""
FAR_ENOUGH = 100_000

Pixels = NDArray[np.int64]


@cache
def refreshed(page: str) -> str:
    """A page with its tables as they are measured now."""
    for name, table in (("read", _reading()), ("written", _writing())):
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"the page lacks its table {name!r}")
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


def _reading() -> str:
    head = (
        "format",
        "read",
        "pages",
        "smaller levels",
        "alpha",
        "over 8 bits",
        "ICC profile",
        "orientation",
        "by",
    )
    rows = []
    for reader in READERS:
        names = f"{reader.format.name} ({', '.join(reader.format.suffixes)})"
        found = [
            _answer(reader, trait)
            for trait in ("plain", "pages", "levels", "alpha", "deep", "profile", "turned")
        ]
        rows.append((names, *found, ", ".join(reader.libraries)))
    return _table(head, rows)


def _answer(reader: Reader, trait: str) -> str:
    """Whether a file with a trait is read with it."""
    make = SAMPLES[reader.format.name].get(trait)
    if make is None:
        return NEVER
    with _asked(make()) as ask:
        try:
            return CHECKS[trait](ask)
        except UnreadableSource:
            return NO


class _Asked:
    """A file, asked for at a workbench."""

    def __init__(self, path: Path, workbench: Workbench) -> None:
        self.path, self._workbench = path, workbench

    def pixels(self, page: int = 1) -> Pixels:
        """The whole of a page."""
        file = SourceFile(str(self.path), "1", page)
        size = SourceProperties.from_json(self._workbench.probe(file)[0]).size
        operation = resolve(parse_image_parameters("full", "max", "0", "default.png"), size, Limits())
        _, data = self._workbench.render(RenderTask(file, operation, RenderSettings()))
        with Image.open(BytesIO(data)) as image:
            return np.asarray(image).astype(np.int64)


@contextmanager
def _asked(data: bytes) -> Iterator[_Asked]:
    workbench = Workbench(WorkbenchSettings())
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "source"
            path.write_bytes(data)
            yield _Asked(path, workbench)
    finally:
        workbench.close()


def _is(answer: Pixels, expected: Pixels) -> bool:
    return answer.shape == expected.shape and bool(np.abs(answer - expected).mean() < ALIKE)


def _plain(asked: _Asked) -> str:
    return YES if _is(asked.pixels(), PICTURE) else NO


def _pages(asked: _Asked) -> str:
    """The second page of two is the negative of the first."""
    first = _is(asked.pixels(), PICTURE)
    try:
        return YES if first and _is(asked.pixels(page=2), 255 - PICTURE) else NO
    except ImageNotFound:
        return "the first" if first else NO


def _levels(asked: _Asked) -> str:
    _, source = open_source(SourceFile(str(asked.path), "1"), SourceLimits())
    source.close()
    factors = source.header.reductions[1:]
    if not factors:
        return NO
    return "as stored" if source.header.parts else ", ".join(map(str, factors))


def _alpha(asked: _Asked) -> str:
    answer = asked.pixels()
    if answer.shape[2] < 4:
        return NO
    if set(np.unique(answer[..., 3])) == {0, 255}:
        return "all or nothing"
    return YES if _is(answer[..., 3], ALPHA) else NO


def _deep(asked: _Asked) -> str:
    answer = asked.pixels()
    return YES if _is(answer if answer.ndim == 2 else answer[..., 0], RAMP >> 8) else NO


def _profile(asked: _Asked) -> str:
    """The profile says that red is green, and green red."""
    answer = asked.pixels()
    return YES if _is(answer, PICTURE[..., [1, 0, 2]]) else NO


CHECKS: dict[str, Callable[[_Asked], str]] = {
    "plain": _plain,
    "pages": _pages,
    "levels": _levels,
    "alpha": _alpha,
    "deep": _deep,
    "profile": _profile,
    "turned": _plain,
}


def _writing() -> str:
    head = (
        "format",
        "media type",
        "lossless",
        "alpha",
        "gray",
        "bitonal",
        "widest or highest, in pixels",
        "by",
    )
    rows = []
    for item in available_formats():
        found = (_loss(item), _transparency(item), _channels(item), _bitonal(item), _largest(item))
        rows.append((f"`{item}`", item.media_type, *found, ", ".join(WRITERS[item])))
    return _table(head, rows)


def _write(image: Image.Image, target: Format, quality: Quality = Quality.DEFAULT) -> bytes:
    return encoded(image, quality, target, RenderSettings())


def _loss(target: Format) -> str:
    image = Image.fromarray(PICTURE.astype(np.uint8))
    data = _write(image, target)
    if target is Format.PDF:
        return NO if b"DCTDecode" in data else YES
    with Image.open(BytesIO(data)) as written:
        return YES if np.array_equal(np.asarray(written.convert("RGB")), PICTURE) else NO


def _transparency(target: Format) -> str:
    image = Image.fromarray(np.dstack((PICTURE, ALPHA)).astype(np.uint8))
    data = _write(image, target)
    if target is Format.PDF:
        return "kept" if b"SMask" in data else "on `background`"
    with Image.open(BytesIO(data)) as written:
        if written.mode not in {"RGBA", "LA", "P"}:
            return "on `background`"
        alpha = np.asarray(written.convert("RGBA").getchannel("A")).astype(np.int64)
        return "kept" if _is(alpha, ALPHA) else "all or nothing"


def _channels(target: Format) -> str:
    data = _write(Image.fromarray(RAMP >> 8).convert("L"), target)
    if target is Format.PDF:
        return "1 channel" if b"DeviceGray" in data else "3 channels"
    with Image.open(BytesIO(data)) as written:
        return f"{len(written.getbands())} channel{'s' if len(written.getbands()) > 1 else ''}"


def _bitonal(target: Format) -> str:
    data = _write(Image.fromarray(PICTURE.astype(np.uint8)), target, Quality.BITONAL)
    if target is Format.PDF:
        return "8 bits" if b"/BitsPerComponent 8" in data else "1 bit"
    with Image.open(BytesIO(data)) as written:
        return "1 bit" if written.mode == "1" else "8 bits"


def _largest(target: Format) -> str:
    def fits(side: int) -> bool:
        try:
            return bool(_write(Image.new("L", (side, 1)), target))
        except InvalidRequest:
            return False

    if fits(FAR_ENOUGH):
        return NEVER
    low, high = 1, FAR_ENOUGH
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return f"{low:,}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
