"""What workers have in common, imported for its effects alone, once for all that are forked from there.

The codecs are imported, and a few small pictures rendered: what happens at the first use of something has
happened then, in memory that workers share. Nothing here leaves a thread behind: it would not survive the
fork, nor would a lock that it holds.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from PIL import Image

from iiif_server.errors import IIIFServerError
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.tasks import RenderSettings, RenderTask, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench

_SIDE: Final = 256


def _load() -> None:
    # pillow-heif and Pillow's rarer formats are left to those who meet such a file.
    for name in ("iiif_server.imaging.readers.tiff.reader", "imagecodecs", "imagecodecs._jpeg2k"):
        with suppress(ImportError):  # a codec that is missing: its format is not read
            import_module(name)


def _rehearse() -> None:
    workbench = Workbench(WorkbenchSettings())
    workbench.abilities(None)
    request = parse_image_parameters("0,0,200,200", "150,", "0", "default.jpg")
    operation = resolve(request, Dimensions(_SIDE, _SIDE), Limits(max_width=_SIDE))
    # No place for files, or a codec that is missing: workers meet it again, and tell.
    with suppress(OSError, IIIFServerError), TemporaryDirectory(prefix="iiif-server-") as place:
        for name, options in (("one.jpg", {}), ("two.png", {}), ("three.tif", {"compression": "jpeg"})):
            path = Path(place, name)
            Image.effect_noise((_SIDE, _SIDE), 60).convert("RGB").save(path, **options)
            source = SourceFile(str(path), "1")
            workbench.probe(source)
            workbench.render(RenderTask(source, operation, RenderSettings(), is_alone=True))
    workbench.close()


_load()
_rehearse()
