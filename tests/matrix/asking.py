"""Ask this server's image work for pixels, and compare them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from PIL import Image

from iiif_server.imaging import workbench
from iiif_server.imaging.tasks import RenderSettings, SourceProperties, WorkbenchSettings
from tests.imaging.helpers import Bench
from tests.matrix.arithmetic import Pixels, difference
from tests.matrix.collection import Bound, Subject
from tests.matrix.independent import decoded, with_channels


@dataclass
class Asked:
    """A file of the collection that a workbench has open, beside what it should look like."""

    subject: Subject
    bench: Bench
    properties: SourceProperties
    reference: Pixels

    def file(self, request: str, settings: RenderSettings | None = None) -> tuple[str, bytes]:
        """The lane taken, and the file made."""
        return self.bench.render_any(self.subject.path, request, settings)

    def png(self, request: str) -> Pixels:
        """What libvips sees in the PNG made for a request, which ends before its format."""
        return decoded(self.file(f"{request}.png")[1])

    def pixels(self, request: str) -> Pixels:
        """What would be encoded for a region, a size and a rotation: encoding costs more than all else."""
        return unencoded(self.bench, self.subject.path, request)

    def compare(self, request: str, answer: Pixels, expected: Pixels, bound: Bound) -> None:
        """Fail if an answer differs too much; show by how much it does."""
        assert answer.shape == expected.shape, request
        mean, largest = difference(answer, expected)
        print(f"{self.subject.name:28} {request:34} {mean:8.3f} {largest:4}")
        assert mean <= bound.mean, f"{request}: {mean:.3f} on average, though {bound.why}"
        assert largest <= bound.largest, f"{request}: {largest} somewhere, though {bound.why}"


def unencoded(bench: Bench, path: Path, request: str) -> Pixels:
    """What would be encoded for a region, a size and a rotation."""
    finished: list[Image.Image] = []

    def keep(image: Image.Image, *_: Any) -> bytes:
        finished.append(image)
        return b""

    with mock.patch.object(workbench, "encoded", keep):
        bench.render_any(path, f"{request}/default.png")
    return with_channels(np.asarray(finished[0]))


def open_subject(subject: Subject) -> Asked:
    """Open a file of the collection; its workbench has to be closed."""
    bench = Bench(workbench.Workbench(WorkbenchSettings()))
    reference = subject.read(subject.path)
    _seen[subject.name] = Seen(reference.shape[1], reference.shape[0], _is_coloured(reference))
    return Asked(subject, bench, bench.probe(subject.path), reference)


class Seen(NamedTuple):
    """What another reader tells of a file; it may store gray as if there were colours: ``None``."""

    width: int
    height: int
    coloured: bool | None


_seen: dict[str, Seen] = {}


def seen(subject: Subject) -> Seen:
    """What the other reader tells of a file, which is decoded for it unless it was before."""
    if subject.name not in _seen:
        open_subject(subject).bench.workbench.close()
    return _seen[subject.name]


def _is_coloured(pixels: Pixels) -> bool | None:
    if pixels.shape[2] < 3:
        return False
    for step in (16, 1):  # a look at a few pixels mostly suffices
        if (pixels[::step, ::step, :3] != pixels[::step, ::step, :1]).any():
            return True
    return None
