"""Which file serves a size, and what makes a document."""

import pytest
from iiif_server.api import Dimensions

from iiif_server_mss.documents import Derivative, Document, parse

FULL = Dimensions(4000, 3000)
DOCUMENT = Document(
    "guid",
    "1",
    "original.tif",
    FULL,
    (
        Derivative("small.jpg", Dimensions(400, 300)),
        Derivative("medium.jpg", Dimensions(800, 600)),
        Derivative("full.jpg", FULL),
    ),
)


@pytest.mark.parametrize(
    ("hint", "file"),
    [
        (Dimensions(1, 1), "small.jpg"),
        (Dimensions(400, 300), "small.jpg"),
        (Dimensions(401, 300), "medium.jpg"),
        (Dimensions(100, 301), "medium.jpg"),
        (Dimensions(801, 601), "full.jpg"),
        (FULL, "full.jpg"),
        (None, "full.jpg"),
        (Dimensions(4001, 3000), "original.tif"),
    ],
)
def test_the_first_file_that_is_large_enough(hint, file):
    assert DOCUMENT.file_for(FULL, hint) == file


def test_without_a_hint_a_derivative_of_another_size_is_not_measured_as_the_image():
    larger = Document("guid", "1", "original.tif", FULL, (Derivative("x.jpg", Dimensions(5000, 4000)),))

    assert larger.file_for(FULL, None) == "original.tif"


def test_what_is_not_a_derivative_is_left_out():
    data = {
        "id": 5,
        "file": "a.tif",
        "width": "40",
        "height": 30.0,
        "derivatives": [{"file": "b.jpg"}, 7, {"file": "c.jpg", "width": 4, "height": 3}],
    }

    assert parse("n", data) == Document(
        "n", "5", "a.tif", Dimensions(40, 30), (Derivative("c.jpg", Dimensions(4, 3)),)
    )


@pytest.mark.parametrize("size", [{}, {"width": 4}, {"width": 0, "height": 3}, {"width": "x", "height": 3}])
def test_a_size_may_be_absent(size):
    assert parse("n", {"id": "5", "file": "a.tif", **size}).size is None


@pytest.mark.parametrize(
    "data", [{}, {"id": 5}, {"file": "a"}, {"id": True, "file": "a"}, {"id": 5, "file": 6}]
)
def test_without_number_and_file_there_is_no_image(data):
    with pytest.raises(ValueError, match="its document has no"):
        parse("n", data)


def test_everything_that_decides_which_files_are_read_is_in_the_digest():
    others = [
        Document("guid", "2", "original.tif", FULL, DOCUMENT.derivatives),
        Document("guid", "1", "other.tif", FULL, DOCUMENT.derivatives),
        Document("guid", "1", "original.tif", Dimensions(1, 1), DOCUMENT.derivatives),
        Document("guid", "1", "original.tif", FULL),
    ]

    assert len({DOCUMENT.digest, *(other.digest for other in others)}) == 5
