"""JPEG to JPEG without decoding: cut, turn and gray by moving the stored coefficients (jpegtran-cffi).

The library is optional, and this is the one place that looks for it. Only its tjTransform half is used: the
other half crashes on damaged files. See docs/adr/0003-lossless-jpeg.md.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from math import prod
from typing import Any

from iiif_server.errors import IIIFServerError
from iiif_server.iiif.geometry import Rectangle
from iiif_server.imaging import jpeg, orientation
from iiif_server.imaging.orientation import Symmetry
from iiif_server.imaging.plan import PIXELS_AT_ONCE, Lossless, PassTile
from iiif_server.imaging.readers.base import Source
from iiif_server.imaging.scan import Scan
from iiif_server.imaging.splice import whole_jpeg
from iiif_server.imaging.strips import cut_in_strips
from iiif_server.imaging.tasks import SourceLimits

_TURNS: dict[Symmetry, tuple[str, tuple[Any, ...]]] = {
    orientation.MIRROR: ("flip", ("horizontal",)),
    orientation.MIRROR_VERTICAL: ("flip", ("vertical",)),
    orientation.TRANSPOSE: ("transpose", ()),
    orientation.TRANSVERSE: ("transverse", ()),
    orientation.CLOCKWISE_90: ("rotate", (90,)),
    orientation.CLOCKWISE_180: ("rotate", (180,)),
    orientation.CLOCKWISE_270: ("rotate", (270,)),
}


def lossless_available() -> bool:
    """Tell whether JPEGs can be transformed losslessly here. Imports the library: about 60 ms and 5 MB."""
    return load_library() is not None


def load_library() -> Any | None:
    """The module ``jpegtran.lib``, or ``None`` where it is missing or not built on TurboJPEG."""
    try:
        with _import_only(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cffi imports a module that Python deprecates
            from jpegtran import lib
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a half-installed extension fails in many ways; all mean: not there
        return None
    return lib if lib.TURBOJPEG and not lib.JPEG8 else None


def cut(
    library: Any, data: bytes, parts: Sequence[Rectangle], *, spares_memory: bool = False
) -> Mapping[Rectangle, bytes]:
    """Cut parts out of a JPEG in one pass over it; what the library can't cut does not come back.

    The library's own ``crop`` reads the whole file for each part, which is nearly all of its cost, and holds
    all of its coefficients. This is the same call of TurboJPEG with many parts at once, strip by strip where
    the file's kind allows that, and gives the same bytes.

    Args:
        library: what :func:`load_library` gave.
        data: a JPEG file without metadata.
        parts: rectangles whose origins lie on the grid of coded units.
        spares_memory: whether much that can't be cut in strips is to take half the memory, and twice as long.
    """
    scan = Scan.of(data)
    is_much = spares_memory and sum(prod(part.size) for part in parts) > PIXELS_AT_ONCE
    if is_much and (scan is None or not scan.is_standard):
        # Written anew it has the standard tables. That holds its coefficients once, and cutting them no more.
        (data,) = transformed(library, data, [None]) or (b"",)
        scan = Scan.of(data)
    if scan is not None and scan.is_standard:
        return dict(cut_in_strips(partial(transformed, library, is_certain=False), scan, parts))
    return dict(zip(parts, transformed(library, data, parts), strict=False))


def transformed(
    library: Any, data: bytes, parts: Sequence[Rectangle | None], *, is_certain: bool = True
) -> Sequence[bytes]:
    """Parts of a JPEG, or for ``None`` all of it, with the standard tables; nothing if the library can't.

    Args:
        library: what :func:`load_library` gave.
        data: a JPEG file without metadata.
        parts: rectangles whose origins lie on the grid of coded units.
        is_certain: whether nothing shall come if the library so much as warned.
    """
    ffi, turbo, count = library.ffi_jpeg, library.libjpeg, len(parts)
    transforms = ffi.new("tjtransform[]", count)
    for transformation, part in zip(transforms, parts, strict=True):
        transformation.op = turbo.TJXOP_NONE
        if part is not None:
            transformation.options, region = turbo.TJXOPT_CROP, transformation.r
            region.x, region.y, region.w, region.h = part
    results, sizes = ffi.new("unsigned char *[]", count), ffi.new("unsigned long[]", count)
    handle = ffi.gc(turbo.tjInitTransform(), turbo.tjDestroy)
    try:
        source = ffi.from_buffer("unsigned char[]", data)
        failed = turbo.tjTransform(handle, source, len(data), count, results, sizes, transforms, 0) < 0
        if (failed and is_certain) or not all(results):
            return ()
        return [ffi.buffer(results[i], sizes[i])[:] for i in range(count)]
    finally:
        for result in results:
            turbo.tjFree(result)


def transform(library: Any, data: bytes, plan: Lossless, limits: SourceLimits) -> bytes | None:
    """Carry out a plan on a JPEG's data; ``None`` where the library can't, which depends on the data alone.

    Args:
        library: what :func:`load_library` gave.
        data: a JPEG file without metadata.
        plan: what to do.
        limits: that hold for the result as for a source.
    """
    transformation = library.Transformation
    try:
        if plan.crop is not None:
            data = cut(library, data, [plan.crop])[plan.crop]
        if plan.turn != orientation.IDENTITY:
            method, arguments = _TURNS[plan.turn]
            data = bytes(getattr(transformation(data), method)(*arguments))
        if plan.gray:
            data = bytes(transformation(data).grayscale())
        result = BytesIO(data)
        layout = jpeg.read_layout(result, max_pixels=limits.max_pixels, max_scans=limits.max_jpeg_scans)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the library raises bare Exception; the pixels lane then tells more
        return None
    if plan.crop is not None and layout.frame.size != plan.turn.size(plan.crop.size):
        return None
    return layout.assemble(result)


def stored_tile(source: Source, plan: PassTile, library: Any | None, limits: SourceLimits) -> bytes | None:
    """A stored tile as a file of its own, rearranged as planned; ``None`` where that can't be done.

    Which depends on the stored data, and on whether the library is there.
    """
    level, number = plan.tile.level, plan.tile.number
    descriptor, offset, count = source.file.fileno(), level.offsets[number], level.counts[number]
    if not 0 < count <= source.size - offset:
        return None
    data = whole_jpeg(level, os.pread(descriptor, count, offset))
    if data is None or plan.change is None:
        return data
    if library is None:
        return None
    try:
        layout = jpeg.read_layout(
            BytesIO(data), max_pixels=limits.max_pixels, max_scans=limits.max_jpeg_scans
        )
    except IIIFServerError:  # of the tile, which says nothing of the file
        return None
    if layout.frame.mcu != level.mcu or (plan.change.gray and not layout.is_ycc):
        return None
    return transform(library, data, plan.change, limits)


@contextmanager
def _import_only() -> Iterator[None]:
    """Keep the library from compiling itself when its built part is missing.

    It would start a C compiler and write beside its code, at import. With no directory to write to it raises.
    """
    name = "CFFI_TMPDIR"
    previous = os.environ.get(name)
    os.environ[name] = os.devnull
    try:
        yield
    finally:
        if previous is None:
            del os.environ[name]
        else:
            os.environ[name] = previous
