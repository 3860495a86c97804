"""What crosses the border to the workers comes out as it went in."""

import json

import pytest

from iiif_server.imaging.tasks import SourceProperties


@pytest.mark.parametrize("resolution", [None, 300.0, 0.1])
def test_source_properties_as_json(resolution: float | None) -> None:
    properties = SourceProperties(30, 20, "image/png", has_color=False, resolution=resolution)

    assert SourceProperties.from_json(json.loads(json.dumps(properties.to_json()))) == properties


def test_source_properties_without_a_resolution() -> None:
    """As a reader tells them that knows of none."""
    data = {"width": 3, "height": 2, "media_type": "image/png", "has_color": True}
    assert SourceProperties.from_json(data) == SourceProperties(3, 2, "image/png", has_color=True)
