"""What holds for the derivatives of a profile: its own word, or else that of the top level."""

from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.derivatives import DerivativeOptions, DerivativeOverrides, effective

OTHER: dict[str, Any] = {
    "jpeg_quality": 30,
    "jpeg_progressive": True,
    "jpeg_subsampling": "4:2:2",
    "png_compression": 9,
    "webp_quality": 31,
    "webp_effort": 6,
    "avif_quality": 32,
    "avif_effort": 5,
    "jp2_quality": 100,
    "tif_compression": "none",
    "background": "#0a0b0c",
    "metadata": "keep",
    "preferred_formats": (Format.AVIF, Format.JPG),
    "max_width": 1000,
    "max_height": 900,
    "max_area": 5000,
    "pyramids": "on_demand",
    "pyramid_min_pixels": 6000,
}
NOT_RENDERED = {
    "preferred_formats",
    "max_width",
    "max_height",
    "max_area",
    "pyramids",
    "pyramid_min_pixels",
}


def test_every_option_is_tried_here() -> None:
    assert OTHER.keys() == DerivativeOptions.model_fields.keys() == DerivativeOverrides.model_fields.keys()


def test_a_profile_that_says_nothing_has_what_the_top_level_says() -> None:
    top = DerivativeOptions(**OTHER)

    assert effective(top, DerivativeOverrides()) == top


@pytest.mark.parametrize("name", OTHER)
def test_a_profile_says_one_thing_otherwise(name: str) -> None:
    top = DerivativeOptions(max_width=2000)
    chosen = effective(top, DerivativeOverrides(**{name: OTHER[name]}))

    assert chosen == top.model_copy(update={name: OTHER[name]})
    assert chosen != top


def test_false_zero_and_nothing_are_said_too() -> None:
    top = DerivativeOptions(jpeg_progressive=True, png_compression=9, preferred_formats=(Format.PNG,))
    said = DerivativeOverrides(jpeg_progressive=False, png_compression=0, preferred_formats=())

    chosen = effective(top, said)

    assert (chosen.jpeg_progressive, chosen.png_compression, chosen.preferred_formats) == (False, 0, ())


def test_the_render_settings_hold_all_that_changes_bytes() -> None:
    assert DerivativeOptions(**OTHER).render_settings == RenderSettings(
        jpeg_quality=30,
        jpeg_progressive=True,
        jpeg_subsampling=1,
        png_compression=9,
        webp_quality=31,
        webp_effort=6,
        avif_quality=32,
        avif_effort=5,
        jp2_quality=100,
        tif_compression="none",
        background=(10, 11, 12),
        keep_metadata=True,
    )
    assert len(fields(RenderSettings)) == len(OTHER) - len(NOT_RENDERED) + 1  # and `lossless`


@pytest.mark.parametrize("name", sorted(NOT_RENDERED))
def test_what_changes_no_bytes_throws_no_cache_away(name: str) -> None:
    top = DerivativeOptions(max_width=2000)

    assert top.model_copy(update={name: OTHER[name]}).render_settings == top.render_settings


def test_the_defaults_are_those_of_the_image_work() -> None:
    assert DerivativeOptions().render_settings == RenderSettings()


def test_limits() -> None:
    assert DerivativeOptions(**OTHER).limits == Limits(1000, 900, 5000)
    assert DerivativeOptions(max_area=None).limits == Limits()


def test_limits_that_do_not_fit_together() -> None:
    with pytest.raises(ValidationError, match="max_width"):
        DerivativeOptions(max_height=5)
    with pytest.raises(ValidationError, match="max_width"):
        effective(DerivativeOptions(), DerivativeOverrides(max_height=5))
    assert effective(DerivativeOptions(max_width=9), DerivativeOverrides(max_height=5)).limits.max_height == 5


def test_bounds_and_meaning_are_the_same_in_both_places() -> None:
    top = DerivativeOptions.model_json_schema()["properties"]
    own = DerivativeOverrides.model_json_schema()["properties"]

    for name in OTHER:
        branches = [part for part in top[name].get("anyOf", [bounds(top[name])]) if part != {"type": "null"}]
        assert own[name]["anyOf"] == [*branches, {"type": "null"}], name
        assert own[name]["description"] == top[name]["description"]
        assert own[name]["default"] is None


def bounds(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in entry.items()
        if key not in {"default", "description", "title", "examples"}
    }
