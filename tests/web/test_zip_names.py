"""Names of files in an archive: safe, and distinct on every file system."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.testing.contract.names import hostile_names
from iiif_server.web.filenames import MAX_BYTES
from iiif_server.web.zip_names import entry_names, named_after


@pytest.mark.parametrize(
    ("filenames", "names"),
    [
        (["a.tif", "b.tif"], ["a.tif", "b.tif"]),
        (["a.tif", "a.tif", "a.tif"], ["a.tif", "a (2).tif", "a (3).tif"]),
        (["a (2).tif", "a.tif", "a.tif"], ["a (2).tif", "a.tif", "a (3).tif"]),
        (["A.TIF", "a.tif"], ["A.TIF", "a (2).tif"]),
        (["Straße", "STRASSE"], ["Straße", "STRASSE (2)"]),
        (["e\u0301.tif", "é.tif"], ["é.tif", "é (2).tif"]),
        (["\ufb01.tif", "fi.tif"], ["\ufb01.tif", "fi (2).tif"]),
        (["a/b/c.tif", "../c.tif", "/c.tif"], ["a_b_c.tif", "_c.tif", "_c (2).tif"]),
        (["", ".", "..", ".tif"], ["image", "image (2)", "image (3)", "tif"]),
        (["con.tif", "CON.TIF"], ["_con.tif", "_CON (2).TIF"]),
        (["x" * 300 + ".svs"] * 2, ["x" * 196 + ".svs", "x" * 192 + " (2).svs"]),
        (["scan.svs", "scan.svs"], ["scan.svs", "scan (2).svs"]),
        ([], []),
    ],
)
def test_names(filenames, names):
    assert entry_names(filenames) == names


@given(st.lists(st.text() | st.sampled_from(["a.tif", "A.tif", "a (2).tif", "../a.tif"]), max_size=20))
def test_any_names_become_safe_and_distinct_ones(filenames):
    names = entry_names(filenames)

    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(filenames)
    for name in names:
        assert 0 < len(name.encode()) <= MAX_BYTES
        assert not set(name) & set('/\\:*?"<>|\0')
        assert not name.startswith((".", " "))


def test_hostile_names(tmp_path):
    names = entry_names(hostile_names("photo.jpg", tmp_path / "bait.png"))

    assert len(set(names)) == len(names)
    assert [name for name in names if "/" in name or "\\" in name or name in ("", ".", "..")] == []


@pytest.mark.parametrize(
    ("name", "filename", "named"),
    [
        ("1234", "Specimen.TIFF", "1234.tiff"),
        ("a.JPG", "a.JPG", "a.jpg"),
        ("a.jpg", "b.tif", "a.jpg.tif"),
        ("a", "b", "a"),
        ("a.b", "J. Smith", "a.b"),
        (".tif", "x.tif", ".tif"),
    ],
)
def test_an_image_may_keep_its_own_name(name, filename, named):
    assert named_after(name, filename) == named
