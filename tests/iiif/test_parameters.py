"""The grammar of Image API 3.0 sections 4.1 to 4.5 and 4.7."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.errors import InvalidRequest
from iiif_server.iiif.parameters import (
    ConfinedSize,
    ExactSize,
    Format,
    FullRegion,
    HeightSize,
    MaxSize,
    PercentRegion,
    PercentSize,
    PixelRegion,
    Quality,
    Rotation,
    SquareRegion,
    WidthSize,
    format_decimal,
    parse_format,
    parse_image_parameters,
    parse_quality,
    parse_region,
    parse_rotation,
    parse_size,
)
from tests.iiif import strategies

# The examples of the specification's own tables, and each form once.
REGIONS = {
    "full": FullRegion(),
    "square": SquareRegion(),
    "125,15,120,140": PixelRegion(125, 15, 120, 140),
    "0,0,1,1": PixelRegion(0, 0, 1, 1),
    "pct:41.6,7.5,40,70": PercentRegion(Decimal("41.6"), Decimal("7.5"), Decimal(40), Decimal(70)),
    f"pct:{1 / 3},0,{1 / 1024},1": PercentRegion(
        Decimal("0.3333333333333333"), Decimal(0), Decimal("0.0009765625"), Decimal(1)
    ),
    "pct:.5,0,100,99.9": PercentRegion(Decimal("0.5"), Decimal(0), Decimal(100), Decimal("99.9")),
}
SIZES = {
    "max": MaxSize(),
    "^max": MaxSize(upscale=True),
    "150,": WidthSize(150),
    "^360,": WidthSize(360, upscale=True),
    ",150": HeightSize(150),
    "^,240": HeightSize(240, upscale=True),
    "pct:50": PercentSize(Decimal(50)),
    "^pct:120": PercentSize(Decimal(120), upscale=True),
    "225,100": ExactSize(225, 100),
    "^360,360": ExactSize(360, 360, upscale=True),
    "!225,100": ConfinedSize(225, 100),
    "^!360,360": ConfinedSize(360, 360, upscale=True),
}
ROTATIONS = {
    "0": Rotation(Decimal(0)),
    "22.5": Rotation(Decimal("22.5")),
    "!180": Rotation(Decimal(180), mirror=True),
    "360": Rotation(Decimal(360)),
    "90.0": Rotation(Decimal(90)),
    "359.99999999999999999999": Rotation(Decimal("359.99999999999999999999")),
    ".5": Rotation(Decimal("0.5")),
}
# What int(), float() and \d would let through.
NOT_NUMBERS = [
    "+90",
    "-1",
    "1e2",
    "inf",
    "nan",
    "٣",
    "１",
    "1_0",
    " 1",
    "1 ",
    "",
    "0x1",
    "1.",
    ".",
    "1.2.3",
    "1,5",
]
NOT_NUMBERS += ["9" * 10, "1" * 5000, "0." + "1" * 21, "\n1", "1\n", "²"]


@pytest.mark.parametrize(("text", "value"), REGIONS.items())
def test_regions(text, value):
    assert parse_region(text) == value


@pytest.mark.parametrize(("text", "value"), SIZES.items())
def test_sizes(text, value):
    assert parse_size(text) == value


@pytest.mark.parametrize(("text", "value"), ROTATIONS.items())
def test_rotations(text, value):
    assert parse_rotation(text) == value


@pytest.mark.parametrize("number", NOT_NUMBERS)
def test_only_ascii_digits_make_a_number(number):
    for parse, text in (
        (parse_region, f"{number},0,1,1"),
        (parse_region, f"pct:{number},0,1,1"),
        (parse_size, f"!{number},5"),
        (parse_size, f"pct:{number}"),
        (parse_size, f"{number},,"),
        (parse_rotation, number),
        (parse_rotation, f"!{number}"),
    ):
        with pytest.raises(InvalidRequest):
            parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Full",
        "FULL",
        "0,0,1",
        "0,0,1,1,1",
        "pct:0,0,1",
        "pct:0,0,1,1,1",
        "pct:",
        "square ",
        "1.5,0,10,10",
        "%66ull",
    ],
)
def test_not_regions(text):
    with pytest.raises(InvalidRequest, match="region"):
        parse_region(text)


@pytest.mark.parametrize(
    "text",
    ["full", ",", "^", "^,", "!", "!5", "!5,", "!,5", "max^", "^^max", "^!pct:5", "5", "1.5,", "pct:", "Max"],
)
def test_not_sizes(text):
    with pytest.raises(InvalidRequest, match="size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["360.1", "361", "!!0", "0!", "!", "99999"])
def test_not_rotations(text):
    with pytest.raises(InvalidRequest, match="rotation"):
        parse_rotation(text)


def test_qualities_and_formats():
    assert [parse_quality(quality) for quality in ("default", "color", "gray", "bitonal")] == list(Quality)
    assert parse_format("jpg").media_type == "image/jpeg"
    assert parse_format("png").media_type == "image/png"
    for quality in ("native", "grey", "colour", "Default", ""):
        with pytest.raises(InvalidRequest, match="quality"):
            parse_quality(quality)
    for extension in ("jpeg", "JPG", "", "exe", "jpg\n"):
        with pytest.raises(InvalidRequest, match="format"):
            parse_format(extension)


@pytest.mark.parametrize("text", ["default", "", ".", "default.", ".jpg", "default.jpg.", "default..jpg"])
def test_quality_and_format_need_both(text):
    with pytest.raises(InvalidRequest):
        parse_image_parameters("full", "max", "0", text)


@given(strategies.regions)
def test_a_regions_text_parses_back(region):
    assert parse_region(str(region)) == region


@given(strategies.sizes)
def test_a_sizes_text_parses_back(size):
    assert parse_size(str(size)) == size


@given(strategies.rotations)
def test_a_rotations_text_parses_back(rotation):
    assert parse_rotation(str(rotation)) == rotation


@given(strategies.decimals)
def test_numbers_are_written_as_section_4_7_recommends(number):
    text = format_decimal(number)

    assert Decimal(text) == number
    assert set(text) <= set("0123456789.")
    assert "." not in text or not text.endswith(("0", "."))
    assert not text.startswith(".")


urlish = st.text(st.sampled_from("0123456789,.!^:+-eE %pctmaxfulsqr٣１\n\0"), max_size=40)


@given(st.lists(st.one_of(st.text(max_size=60), urlish), min_size=4, max_size=4))
def test_any_text_gives_a_value_or_a_400(segments):
    try:
        parameters = parse_image_parameters(*segments)
    except InvalidRequest as error:
        assert error.status == 400
        assert len(error.public) < 300
    else:
        assert parse_image_parameters(*str(parameters).rsplit("/", 3)) == parameters


@given(st.one_of(st.text(max_size=30), urlish))
def test_each_parser_gives_a_value_or_a_400(text):
    for parse in (parse_region, parse_size, parse_rotation, parse_quality, parse_format):
        try:
            value = parse(text)
        except InvalidRequest:
            continue
        assert parse(str(value)) == value


def test_format_and_quality_are_words():
    assert (str(Format.JPG), str(Quality.GRAY)) == ("jpg", "gray")
