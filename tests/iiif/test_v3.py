"""info.json of Image API 3.0, section 5."""

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format
from iiif_server.iiif.v3 import info_document
from tests.iiif.strategies import description

IMAGE_ID = "https://example.org/iiif/3/files:a.jpg"


def document(limits=None, **changes):
    return info_document(description(IMAGE_ID, limits, **changes))


def test_the_whole_document():
    assert document() == {
        "@context": "http://iiif.io/api/image/3/context.json",
        "id": "https://example.org/iiif/3/files:a.jpg",
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": 6000,
        "height": 4000,
        "maxArea": 100_000_000,
        "sizes": [
            {"width": 375, "height": 250},
            {"width": 750, "height": 500},
            {"width": 1500, "height": 1000},
            {"width": 3000, "height": 2000},
            {"width": 6000, "height": 4000},
        ],
        "tiles": [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4, 8, 16]}],
        "rights": "http://creativecommons.org/licenses/by/4.0/",
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFeatures": [
            "canonicalLinkHeader",
            "mirroring",
            "profileLinkHeader",
            "rotationArbitrary",
            "sizeUpscaling",
        ],
    }
    assert next(iter(document())) == "@context"


def test_limits_are_stated_and_upscaling_only_with_them():
    assert "sizeUpscaling" not in document(Limits())["extraFeatures"]
    stated = document(Limits(max_width=3000, max_height=2000))
    assert (stated["maxWidth"], stated["maxHeight"]) == (3000, 2000)
    assert stated["sizes"][-1] == {"width": 3000, "height": 2000}
    assert "tiles" not in document(Limits(max_width=300))


def test_a_gray_image_does_not_offer_color():
    assert document(has_color=False)["extraQualities"] == ["gray", "bitonal"]


def test_exactly_the_formats_that_are_served_are_listed():
    assert "extraFormats" not in document()
    assert document(formats=(Format.PDF, Format.PNG, Format.WEBP, Format.JPG))["extraFormats"] == [
        "webp",
        "pdf",
    ]


def test_no_rights_no_key():
    assert "rights" not in document(rights=None)
