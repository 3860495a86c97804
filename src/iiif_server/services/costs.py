"""What making a derivative takes, by what its profile knows, or by the header of its source."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, Final

from iiif_server.execution.settings import LIGHT_MEMORY
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.cost import Cost, render_cost
from iiif_server.imaging.decoding import typical
from iiif_server.imaging.plan import on_copy
from iiif_server.imaging.tasks import RenderTask
from iiif_server.profiles.base import ImageInfo, Profile

_HEAVY_PIXELS: Final = 4_000_000
_HEAVY_SECONDS: Final = 1.0


def is_heavy(operation: Operation, cost: Cost) -> bool:
    """Tell whether a derivative goes to the lane that leaves workers free for tiles.

    Large results do, and whatever else is estimated to take long: a thumbnail of a large source, say.
    """
    return prod(operation.size) > _HEAVY_PIXELS or cost.seconds > _HEAVY_SECONDS


async def derivative_cost(
    profile: Profile[Any], info: ImageInfo, task: RenderTask, *, may_be_copy: bool
) -> Cost:
    """Estimate a derivative.

    If it seems to take much, the file's header has the last word where nobody looked at that before, or where
    the profile may have lent a smaller copy: nobody is to wait or to be refused for what is small.

    Args:
        profile: lent the source.
        info: of the image.
        task: the derivative.
        may_be_copy: whether the profile was told that less than the whole resolution is wanted.

    Raises:
        IIIFServerError: the header can't be read.
    """
    operation, settings, is_alone = task.operation, task.settings, task.is_alone
    decoding = info.decoding or typical(info.media_type)
    cost = render_cost(info.size, info.media_type, decoding, operation, settings, is_alone=is_alone)
    is_much = is_heavy(operation, cost) or cost.memory > LIGHT_MEMORY
    if not is_much or (info.decoding is not None and not may_be_copy):
        return cost
    source = task.source
    seen = await profile.context.probe(Path(source.path), source.version, source.page)
    if seen.decoding is None:
        return cost
    copied = on_copy(operation, seen.size)
    return render_cost(seen.size, seen.media_type, seen.decoding, copied, settings, is_alone=is_alone)
