"""Hypothesis strategies for the values of the specification."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import (
    ConfinedSize,
    ExactSize,
    Format,
    FullRegion,
    HeightSize,
    ImageParameters,
    MaxSize,
    PercentRegion,
    PercentSize,
    PixelRegion,
    Quality,
    Rotation,
    SquareRegion,
    WidthSize,
)
from iiif_server.iiif.version import Description

sides = st.one_of(st.integers(1, 70_000), st.integers(1, 600))
images = st.builds(Dimensions, sides, sides)
pixels = st.integers(0, 999_999_999)
decimals = st.decimals(0, 999_999_999, allow_nan=False, allow_infinity=False, places=4).map(abs)
percents = st.decimals(0, 120, allow_nan=False, places=3).map(abs)
flags = st.booleans()
lengths = st.integers(1, 80_000)

regions = st.one_of(
    st.just(FullRegion()),
    st.just(SquareRegion()),
    st.builds(PixelRegion, pixels, pixels, pixels, pixels),
    st.builds(PixelRegion, lengths, lengths, lengths, lengths),
    st.builds(PercentRegion, percents, percents, percents, percents),
)
sizes = st.one_of(
    st.builds(MaxSize, flags),
    st.builds(WidthSize, lengths, flags),
    st.builds(HeightSize, lengths, flags),
    st.builds(PercentSize, percents, flags),
    st.builds(ExactSize, lengths, lengths, flags),
    st.builds(ConfinedSize, lengths, lengths, flags),
)
angles = st.one_of(
    st.sampled_from([Decimal(0), Decimal(90), Decimal("180.0"), Decimal(270), Decimal(360)]),
    st.decimals(0, 360, allow_nan=False, places=5).map(abs),
)
rotations = st.builds(Rotation, angles, flags)
parameters = st.builds(
    ImageParameters, regions, sizes, rotations, st.sampled_from(Quality), st.sampled_from(Format)
)
limits = st.one_of(
    st.just(Limits()),
    st.builds(Limits, max_area=st.integers(1, 200_000_000)),
    st.builds(Limits, max_width=lengths, max_height=st.none() | lengths),
    st.builds(Limits, max_width=lengths, max_height=lengths, max_area=st.integers(1, 200_000_000)),
)


def description(image_id, limits=None, **changes):
    """An image of 6000 by 4000 pixels to be described."""
    facts: dict[str, Any] = {
        "image": Dimensions(6000, 4000),
        "limits": limits or Limits(max_area=100_000_000),
        "min_size": 200,
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "has_color": True,
        "formats": (Format.JPG, Format.PNG),
    }
    return Description(image_id, **(facts | changes))
