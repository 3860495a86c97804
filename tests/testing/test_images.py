"""Images whose every pixel is known."""

import io

import pytest
from PIL import Image

from iiif_server.testing import draw_image, encode, gradient, mean_difference


def test_pixels_tell_where_they_are():
    picture = gradient(513, 257)

    assert picture.getpixel((0, 0)) == (0, 0, 64)
    assert picture.getpixel((512, 256)) == (255, 255, 64)
    assert picture.getpixel((256, 128)) == pytest.approx((128, 128, 64), abs=1)
    assert picture.getpixel((512, 0)) == (255, 0, 64)
    assert [picture.getchannel(2).getpixel((x, 0)) for x in (31, 32, 63, 64)] == [64, 192, 192, 64]


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (33, 500)])
def test_any_size(size):
    assert gradient(*size).size == size


def test_another_seed_is_another_picture_of_the_same_size():
    one, other = draw_image("a"), draw_image("a", seed=1)

    assert one.picture.size == other.picture.size
    assert one.original != other.original
    assert mean_difference(one.picture, other.picture) > 4


@pytest.mark.parametrize(("file_format", "most"), [("TIFF", 0), ("PNG", 0), ("JPEG", 1), ("WEBP", 6)])
def test_the_file_holds_the_picture(file_format, most):
    image = draw_image("a", 301, 203, file_format=file_format)
    with Image.open(io.BytesIO(image.original)) as opened:
        assert opened.format == file_format
        assert mean_difference(opened, image.picture) <= most


def test_nobody_draws_into_anothers_picture():
    draw_image("a").picture.paste((1, 2, 3), (0, 0, 1201, 901))

    assert draw_image("a").picture.getpixel((0, 0)) == (0, 0, 64)


def test_differences_are_seen():
    picture = gradient(300, 200)

    assert mean_difference(picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 50
    assert mean_difference(picture, picture) == 0
    with pytest.raises(ValueError, match="compared with"):
        mean_difference(picture, gradient(301, 200))


def test_the_large_one_is_large_enough_to_tell_of_memory():
    assert len(draw_image("a").original) > 2 * 1024**2
    assert len(encode(gradient(10, 10), "PNG")) < 1000
