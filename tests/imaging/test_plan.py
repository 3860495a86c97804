"""What is made how."""

from dataclasses import replace

import pytest

from iiif_server.errors import SourceChanging
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import Operation, resolve
from iiif_server.imaging.decoding import Decoding, JpegFacts
from iiif_server.imaging.header import Header
from iiif_server.imaging.orientation import (
    CLOCKWISE_90,
    IDENTITY,
    MIRROR,
    Symmetry,
    from_exif,
    from_rotation,
)
from iiif_server.imaging.plan import (
    Copy,
    Lossless,
    Plan,
    Render,
    on_copy,
    plan,
    shared_decoding,
    sheet,
)
from iiif_server.imaging.tasks import RenderSettings

FACTS = JpegFacts(mcu=Dimensions(16, 16), gray=False, portable=True, croppable=True)
DECODING = Decoding(4, jpeg=FACTS)
SETTINGS = RenderSettings()


def header(width: int = 1000, height: int = 750, turn: Symmetry = IDENTITY, **facts: object) -> Header:
    stored = turn.inverse().size(Dimensions(width, height))
    return Header(stored, turn, True, (1, 2, 4, 8), jpeg=replace(FACTS, **facts))  # type: ignore[arg-type]


def operation(request: str, source: Header) -> Operation:
    return resolve(parse_image_parameters(*request.split("/")), source.size, Limits(max_width=9000))


def chosen(request: str, source: Header | None = None, settings: RenderSettings = SETTINGS) -> Plan:
    source = source or header()
    return plan(source, operation(request, source), settings)


@pytest.mark.parametrize("request_", ["full/max/0/default.jpg", "0,0,1000,750/1000,750/360/color.jpg"])
def test_the_whole_image_is_copied(request_: str) -> None:
    """With jpegtran or without it."""
    assert chosen(request_) == Copy()
    assert chosen(request_, settings=RenderSettings(lossless=False)) == Copy()


def test_gray_of_gray_is_a_copy() -> None:
    """There is nothing to take away."""
    assert chosen("full/max/0/gray.jpg", header(gray=True)) == Copy()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("full/max/0/gray.jpg", Lossless(None, IDENTITY, gray=True)),
        ("512,256,488,494/max/0/default.jpg", Lossless(Rectangle(512, 256, 488, 494), IDENTITY, gray=False)),
        (
            "0,0,512,512/max/!0/default.jpg",
            Lossless(Rectangle(0, 0, 512, 512), MIRROR, gray=False, is_tile=True),
        ),
        ("0,0,500,512/max/90/gray.jpg", Lossless(Rectangle(0, 0, 500, 512), CLOCKWISE_90, gray=True)),
    ],
)
def test_blocks_are_moved_where_they_can_be(request_: str, expected: Lossless) -> None:
    """At full scale, from the grid of blocks."""
    assert chosen(request_) == expected


@pytest.mark.parametrize(
    "request_",
    [
        "512,250,488,500/max/0/default.jpg",  # off the grid
        "0,0,500,512/max/!0/default.jpg",  # part of a block would come to lie in front
        "0,0,512,500/max/90/default.jpg",
        "full/max/180/default.jpg",
        "full/500,/0/default.jpg",
        "full/max/0/default.png",
        "full/max/0/bitonal.jpg",
        "full/^2000,/0/default.jpg",
    ],
)
def test_all_else_is_rendered(request_: str) -> None:
    """Never a block's remainder at the wrong side."""
    assert isinstance(chosen(request_), Render)


def test_only_portable_data_is_passed_on() -> None:
    """CMYK, RGB and other colour spaces need decoding; strange samplings can only be copied."""
    assert isinstance(chosen("full/max/0/default.jpg", header(portable=False)), Render)
    assert isinstance(chosen("full/max/0/gray.jpg", header(croppable=False)), Render)
    assert chosen("full/max/0/default.jpg", header(croppable=False)) == Copy()
    assert isinstance(chosen("full/max/0/gray.jpg", settings=RenderSettings(lossless=False)), Render)


def test_stored_orientation_and_rotation_are_one_turn() -> None:
    """An image stored on its side, asked for turned back, is stored as it is asked for."""
    sideways = header(752, 1008, from_exif(6))
    assert chosen("full/max/270/default.jpg", sideways) == Copy()
    assert chosen("full/max/0/default.jpg", sideways) == Lossless(None, from_exif(6), gray=False)
    cut = chosen("0,0,512,512/max/0/default.jpg", header(752, 1008, from_exif(6)))
    assert cut == Lossless(Rectangle(0, 240, 512, 512), from_exif(6), gray=False, is_tile=True)


def test_tiles_at_full_scale_are_known_as_such() -> None:
    """They come in crowds, and are cut out of the source together."""
    source = header(4000, 3000)
    for region, is_tile in (
        ("512,512,512,512", True),
        ("3584,2560,416,440", True),
        ("512,512,256,256", False),
        ("16,0,512,512", False),
    ):
        found = chosen(f"{region}/max/0/default.jpg", source)
        assert isinstance(found, Lossless)
        assert found.is_tile is is_tile
        assert (found.crop in sheet(source)) is is_tile


def test_a_sheet_leaves_out_what_lies_between_blocks() -> None:
    """Stored upside down, the tiles begin at the other end: none of them on the grid, but for some rows."""
    assert len(sheet(header(1040, 1040))) == 9
    assert len(sheet(header(1040, 1041, from_exif(3)))) == 3
    assert sheet(header(1041, 1041, from_exif(3))) == [(0, 0, 17, 17)]


@pytest.mark.parametrize(
    ("request_", "reduction", "box"),
    [
        ("full/500,/0/default.png", 2, (0, 0, 500, 375)),
        ("full/501,/0/default.png", 1, (0, 0, 1000, 750)),
        ("full/125,/0/default.png", 4, (0, 0, 250, 187.5)),
        ("full/166,/0/default.png", 4, (0, 0, 250, 187.5)),
        ("full/167,/0/default.png", 2, (0, 0, 500, 375)),
        ("full/83,/0/default.png", 8, (0, 0, 125, 93.75)),
        ("full/84,/0/default.png", 4, (0, 0, 250, 187.5)),
        ("0,0,1000,750/250,188/0/default.png", 2, (0, 0, 500, 375)),
        ("512,512,488,238/244,119/0/default.png", 2, (256, 256, 500, 375)),
        ("0,0,1000,750/63,47/0/default.png", 8, (0, 0, 125, 93.75)),
        ("10,10,100,100/50,/0/default.png", 2, (5, 5, 55, 55)),
        ("11,11,100,100/50,/0/default.png", 2, (5.5, 5.5, 55.5, 55.5)),
    ],
)
def test_decodes_the_smallest_level_that_suffices(
    request_: str, reduction: int, box: tuple[float, float, float, float]
) -> None:
    """Which at 1/2 is the level itself; further down there is a rest left to the resampling."""
    render = chosen(request_)
    assert isinstance(render, Render)
    assert (render.reduction, render.shrink, render.box) == (reduction, 1, box)


def test_edge_tiles_use_the_level_of_their_neighbours() -> None:
    """However little of the last tile is left."""
    source = header(1001, 751)
    for request_ in ("0,0,512,512/256,256/0/default.png", "512,512,489,239/245,120/0/default.png"):
        render = chosen(request_, source)
        assert isinstance(render, Render)
        assert render.reduction == 2
    sliver = chosen("4096,0,5,4096/1,512/0/default.png", header(4101, 4096))
    assert isinstance(sliver, Render)
    assert sliver.reduction == 4


def test_a_flipped_level_begins_with_its_padding() -> None:
    """The decoder rounds up at the stored end, which is the upright image's beginning."""
    render = chosen("0,0,512,512/256,256/0/default.png", header(1001, 751, from_exif(3)))
    assert isinstance(render, Render)
    assert render.box == (0.5, 0.5, 256.5, 256.5)


def test_what_decodes_whole_is_averaged_down_before_it_is_resampled() -> None:
    """To twice what is wanted, so that the final filter decides."""
    source = replace(header(8000, 6000), reductions=(1,), jpeg=None)
    shrinks = {}
    for width in (8000, 4000, 2000, 1000, 500, 250):
        render = chosen(f"full/{width},/0/default.png", source)
        assert isinstance(render, Render)
        assert render.reduction == 1
        shrinks[width] = render.shrink
    assert shrinks == {8000: 1, 4000: 1, 2000: 2, 1000: 4, 500: 8, 250: 16}


def test_few_pixels_are_not_averaged_from_parts() -> None:
    """The last pixel of a level would count as much as the others, and shift what is left of the picture."""
    source = replace(header(1001, 751), reductions=(1,), jpeg=None)
    for width, shrink in ((500, 1), (125, 2), (30, 16), (7, 16), (1, 16)):
        render = chosen(f"full/{width},/0/default.png", source)
        assert isinstance(render, Render)
        assert render.shrink == shrink
    whole = chosen("full/1,/0/default.png", replace(source, stored=Dimensions(1024, 768)))
    assert isinstance(whole, Render)
    assert whole.shrink == 32


def test_another_size_means_that_the_source_has_changed() -> None:
    """The request was resolved against what it was before."""
    with pytest.raises(SourceChanging):
        plan(header(), operation("full/max/0/default.jpg", header(999, 750)), SETTINGS)


@pytest.mark.parametrize(
    ("parameters", "copy"),
    [
        ("full/100,/0/default.jpg", (500, 375)),
        ("full/100,/0/default.jpg", (100, 75)),
        ("full/100,/0/default.jpg", (101, 76)),
        ("0,0,1000,750/!300,300/90/gray.png", (400, 300)),
    ],
)
def test_a_smaller_copy_serves_the_whole_image(parameters: str, copy: tuple[int, int]) -> None:
    """As if it were the image."""
    asked = operation(parameters, header(1000, 750))
    found = on_copy(asked, Dimensions(*copy))

    assert found == replace(asked, image=Dimensions(*copy), region=Rectangle(0, 0, *copy))
    assert isinstance(plan(header(*copy), found, SETTINGS), Copy | Lossless | Render)


@pytest.mark.parametrize(
    ("parameters", "copy"),
    [
        ("full/100,/0/default.jpg", (99, 75)),  # too small
        ("full/100,/0/default.jpg", (1001, 751)),  # no copy, but another image
        ("full/100,/0/default.jpg", (375, 500)),  # another way up
        ("full/100,/0/default.jpg", (500, 370)),  # another shape
        ("0,0,500,750/100,/0/default.jpg", (500, 375)),  # a region is measured in pixels of the image
        ("full/max/0/default.jpg", (1000, 750)),  # the image itself
    ],
)
def test_what_serves_as_no_copy(parameters: str, copy: tuple[int, int]) -> None:
    """The operation stays, and is refused where the size is another."""
    asked = operation(parameters, header(1000, 750))

    assert on_copy(asked, Dimensions(*copy)) == asked


def test_other_angles_are_quarter_turns_and_a_rest() -> None:
    """Which only pixels can be turned by."""
    tilted = chosen("full/max/!112.5/default.jpg")
    assert isinstance(tilted, Render)
    assert (tilted.turn, tilted.angle) == (from_rotation(90, mirror=True), 22.5)
    assert chosen("full/max/360/default.jpg") == Copy()


def test_requests_of_one_level_share_its_decoding() -> None:
    """Every tile of the ladder has the number of what its reader keeps: the sheet, or a reduction."""
    source = header(20_000, 15_000)
    for factor in (1, 2, 4, 8, 16, 32):
        step = 512 * factor
        for x, y in ((0, 0), (19_999 // step * step, 14_999 // step * step)):
            width, height = min(step, 20_000 - x), min(step, 15_000 - y)
            request = f"{x},{y},{width},{height}/{-(-width // factor)},{-(-height // factor)}/0/default.jpg"
            made, share = chosen(request, source), shared_decoding(operation(request, source), DECODING)
            if factor == 1:
                assert (type(made), share) == (Lossless, 0)
            else:
                assert isinstance(made, Render)
                assert share == made.reduction.bit_length() - 1


def test_pixels_at_full_scale_are_another_share_than_the_sheet() -> None:
    source = header(8000, 6000)
    for request in ("0,0,512,512/max/0/default.png", "3,0,512,512/max/0/default.jpg"):
        assert shared_decoding(operation(request, source), DECODING) == 4


def test_whole_images_wait_for_nobody() -> None:
    assert shared_decoding(operation("full/400,/0/default.jpg", header())) is None


def test_of_a_source_in_pieces_only_what_touches_the_same_piece_shares() -> None:
    """Four tiles of 512 lie in a piece of 1024; each level is another matter."""
    source, piece = header(4096, 2048), Dimensions(1024, 1024)

    def share(request: str) -> int | None:
        return shared_decoding(operation(request, source), Decoding(4, piece=piece))

    tiles = [f"{x},{y},512,512/max/0/default.jpg" for y in range(0, 2048, 512) for x in range(0, 4096, 512)]
    shares = [share(tile) for tile in tiles]
    assert len(set(shares)) == 8
    assert shares[0] == shares[1] == shares[8] == shares[9] != shares[2]
    assert share("0,0,1024,1024/512,512/0/default.jpg") not in shares
