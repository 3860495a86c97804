"""info.json of Image API 3.0, section 5."""

import pytest

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.links import Links
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


def test_preferred_formats_keep_their_order_and_stand_only_where_there_are_some():
    formats = tuple(Format)
    stated = document(formats=formats, preferred_formats=(Format.WEBP, Format.JPG, Format.AVIF))

    assert stated["preferredFormats"] == ["webp", "jpg", "avif"]
    assert "preferredFormats" not in document(formats=formats)


def test_links_are_lists_of_objects_and_stand_only_where_there_are_some():
    links = Links(
        part_of=({"id": "https://example.org/1", "type": "Manifest"},),
        see_also=({"id": "https://example.org/1.xml", "type": "Dataset"},),
        service=({"@id": "https://example.org/login", "@type": "AuthCookieService1"},),
    )
    stated = document(links=links)

    assert stated["partOf"] == [{"id": "https://example.org/1", "type": "Manifest"}]
    assert stated["seeAlso"] == [{"id": "https://example.org/1.xml", "type": "Dataset"}]
    assert stated["service"] == [{"@id": "https://example.org/login", "@type": "AuthCookieService1"}]
    assert not document().keys() & {"partOf", "seeAlso", "service"}


def test_the_physical_dimensions_are_one_more_service():
    service = {"id": "https://example.org/s", "type": "Service"}
    stated = document(resolution=300.0, links=Links(service=(service,)))["service"]

    assert stated == [
        service,
        {
            "@context": "http://iiif.io/api/annex/services/physdim/1/context.json",
            "@id": f"{IMAGE_ID}/info.json#physical-dimensions",
            "@type": "Service",
            "profile": "http://iiif.io/api/annex/services/physdim",
            "physicalScale": 0.0846667,
            "physicalUnits": "mm",
        },
    ]
    # 6000 pixels at 300 to the inch are 20 inches.
    assert abs(stated[1]["physicalScale"] * 6000 - 20 * 25.4) < 0.01


@pytest.mark.parametrize("resolution", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_a_resolution_that_is_none_is_not_stated(resolution):
    assert "service" not in document(resolution=resolution)
