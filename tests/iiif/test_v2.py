"""Image API 2.1: its sizes, its canonical form and its info.json."""

import pytest
from hypothesis import assume, given

from iiif_server.errors import InvalidRequest, UnsupportedFeature
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.links import Links
from iiif_server.iiif.parameters import Format, WidthSize, parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.iiif.v2 import canonical_2, info_document, parse_size_2
from tests.iiif import strategies

SPEC_IMAGE = Dimensions(300, 200)
LIMITS = Limits(max_area=100_000_000)


def resolved(text, image=SPEC_IMAGE, limits=LIMITS):
    return resolve(parse_image_parameters(*text.split("/"), size_parser=parse_size_2), image, limits)


@pytest.mark.parametrize(
    ("size", "result"),
    [
        ("full", (300, 200)),
        ("max", (300, 200)),
        ("150,", (150, 100)),
        (",150", (225, 150)),
        ("pct:50", (150, 100)),
        ("225,100", (225, 100)),
        ("!225,100", (150, 100)),
        ("600,", (600, 400)),
        (",400", (600, 400)),
        ("pct:200", (600, 400)),
        ("600,600", (600, 600)),
        ("!600,600", (300, 200)),
    ],
)
def test_sizes_of_the_specifications_examples(size, result):
    assert resolved(f"full/{size}/0/default.jpg").size == result


@pytest.mark.parametrize("size", ["^max", "^150,", "^pct:120", "", ",", "Full", "full,"])
def test_what_version_2_does_not_have(size):
    with pytest.raises(InvalidRequest):
        parse_size_2(size)


def test_max_is_scaled_down_to_the_limits_but_full_is_never_scaled():
    limits = Limits(max_width=150)

    assert resolved("full/max/0/default.jpg", limits=limits).size == (150, 100)
    assert resolved("0,0,150,150/full/0/default.jpg", limits=limits).size == (150, 150)
    with pytest.raises(InvalidRequest, match="limits"):
        resolved("full/full/0/default.jpg", limits=limits)
    assert parse_size_2("150,") == WidthSize(150, upscale=True)
    with pytest.raises(UnsupportedFeature):
        resolved("full/600,/0/default.jpg", limits=Limits())


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("full/full/0/default.jpg", "full/full/0/default.jpg"),
        ("full/max/0/color.jpg", "full/full/0/default.jpg"),
        ("full/150,100/0/default.jpg", "full/150,/0/default.jpg"),
        ("full/!150,150/90/default.jpg", "full/150,/90/default.jpg"),
        ("full/150,150/0/default.jpg", "full/150,150/0/default.jpg"),
        ("full/pct:200/!0/gray.png", "full/600,/!0/gray.png"),
        ("pct:0,0,50,50/full/0/default.jpg", "0,0,150,100/full/0/default.jpg"),
    ],
)
def test_canonical_forms(asked, canonical):
    assert canonical_2(resolved(asked), LIMITS) == canonical


def test_the_canonical_form_of_max_under_limits():
    limits = Limits(max_width=150)

    assert canonical_2(resolved("full/max/0/default.jpg", limits=limits), limits) == "full/150,/0/default.jpg"


@given(strategies.parameters, strategies.images, strategies.limits)
def test_the_canonical_form_means_the_same_and_is_its_own(parameters, image, limits):
    try:
        operation = resolve(parameters, image, limits)
    except (InvalidRequest, UnsupportedFeature):
        assume(False)
    text = canonical_2(operation, limits)

    again = resolved(text, image, limits)

    assert again == operation
    assert canonical_2(again, limits) == text


def test_the_whole_document():
    image_id = "https://example.org/iiif/2/files:a.jpg"
    formats = (Format.JPG, Format.PNG, Format.WEBP)
    assert info_document(strategies.description(image_id, formats=formats)) == {
        "@context": "http://iiif.io/api/image/2/context.json",
        "@id": image_id,
        "protocol": "http://iiif.io/api/image",
        "width": 6000,
        "height": 4000,
        "sizes": [
            {"width": 375, "height": 250},
            {"width": 750, "height": 500},
            {"width": 1500, "height": 1000},
            {"width": 3000, "height": 2000},
            {"width": 6000, "height": 4000},
        ],
        "tiles": [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4, 8, 16]}],
        "profile": [
            "http://iiif.io/api/image/2/level2.json",
            {
                "formats": ["jpg", "png", "webp"],
                "qualities": ["default", "color", "gray", "bitonal"],
                "supports": [
                    "canonicalLinkHeader",
                    "mirroring",
                    "profileLinkHeader",
                    "regionSquare",
                    "rotationArbitrary",
                    "sizeAboveFull",
                ],
                "maxArea": 100_000_000,
            },
        ],
        "license": "http://creativecommons.org/licenses/by/4.0/",
    }


def test_of_the_links_only_services_are_of_this_version():
    links = Links(
        part_of=({"id": "https://example.org/1", "type": "Manifest"},),
        see_also=({"id": "https://example.org/1.xml", "type": "Dataset"},),
        service=({"@id": "https://example.org/login", "@type": "AuthCookieService1"},),
    )
    plain = info_document(strategies.description("x"))
    stated = info_document(
        strategies.description("x", links=links, resolution=254.0, preferred_formats=(Format.PNG,))
    )

    assert stated.keys() - plain.keys() == {"service"}
    assert stated["service"][0] == {"@id": "https://example.org/login", "@type": "AuthCookieService1"}
    assert stated["service"][1]["physicalScale"] == 0.1
    assert "service" not in plain


def test_nothing_is_offered_above_the_full_size_without_a_limit():
    profile = info_document(strategies.description("x", Limits(), has_color=False, rights=None))["profile"]

    assert "sizeAboveFull" not in profile[1]["supports"]
    assert profile[1]["qualities"] == ["default", "gray", "bitonal"]
