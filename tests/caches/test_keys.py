"""Equal inputs have equal keys; inputs that merely look alike never do."""

import itertools
import sys
import unicodedata
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.caches import keys
from iiif_server.caches.keys import derivative_key, original_key, owner_of, profile_digits
from iiif_server.iiif.geometry import Dimensions, Rectangle
from iiif_server.iiif.parameters import Format, Quality, Rotation
from iiif_server.iiif.resolve import Operation
from iiif_server.imaging.tasks import RenderSettings

OPERATION = Operation(
    Dimensions(4000, 3000),
    Rectangle(0, 0, 512, 512),
    Dimensions(512, 512),
    Rotation(Decimal(0)),
    Quality.DEFAULT,
    Format.JPG,
)
INPUTS: dict[str, Any] = {
    "profile": "mss",
    "name": "image",
    "page": 1,
    "version": "1",
    "operation": OPERATION,
    "settings": RenderSettings(),
    "renderer": "pillow 13",
}

LOOK_ALIKES = [
    "a/b", "a%2Fb", "a%2fb", "a%252Fb", "a//b", "/a/b", "a/b/", "a/./b", "a\\b", "a:b", "A/b", "a/B", "a/b.",
    "a/b ", " a/b", "a/b\n", "a/b\0", "a b", "a+b", "a%20b", unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"), "e", "E", "ＡＢ", "AB", "ﬁ", "fi", "ß", "ss", "а", "a",
    "", ".", "..", "\ud83d\ude00", "😀", '"', '\\"', 'a","b', "1", "01", "1.0", "null",
]  # fmt: skip

texts = st.text(st.characters(codec=None), max_size=12)
degrees = [Decimal(text) for text in ("0", "-0", "90", "90.0", "9E+1", "0.1", "22.5")]
operations = st.builds(
    Operation,
    st.builds(Dimensions, st.integers(1, 5), st.integers(1, 5)),
    st.builds(Rectangle, st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3)),
    st.builds(Dimensions, st.integers(1, 5), st.integers(1, 5)),
    st.builds(Rotation, st.sampled_from(degrees), st.booleans()),
    st.sampled_from(Quality),
    st.sampled_from(Format),
)
inputs = st.fixed_dictionaries(
    {
        "profile": texts,
        "name": texts,
        "page": st.integers(1, 3),
        "version": texts,
        "operation": operations,
        "settings": st.builds(RenderSettings, jpeg_quality=st.integers(1, 3), lossless=st.booleans()),
        "renderer": texts,
    }
)


def test_look_alike_names_never_share_a_key() -> None:
    assert len({derivative_key(**{**INPUTS, "name": name}) for name in LOOK_ALIKES}) == len(set(LOOK_ALIKES))
    assert len(LOOK_ALIKES) >= 22


def test_where_one_text_ends_and_the_next_begins_matters() -> None:
    texts = ["", "a", "b", "ab", "a,b", 'a","b', "/", "a/b"]
    combinations = list(itertools.product(texts, repeat=3))
    found = {
        derivative_key(**{**INPUTS, "profile": profile, "name": name, "version": version})
        for profile, name, version in combinations
    }
    assert len(found) == len(combinations)


@given(inputs, inputs)
def test_keys_are_equal_exactly_when_inputs_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (derivative_key(**one) == derivative_key(**other)) == (one == other)


@given(inputs)
def test_a_key_is_the_same_for_an_equal_copy(one: dict[str, Any]) -> None:
    degrees = one["operation"].rotation.degrees
    rotation = replace(one["operation"].rotation, degrees=degrees + Decimal("0.0000"))
    copy = {**one, "operation": replace(one["operation"], rotation=rotation)}
    assert derivative_key(**copy) == derivative_key(**one)


@pytest.mark.parametrize(("one", "other"), [("90", "90.0"), ("90", "9E+1"), ("0", "-0"), ("22.5", "22.50")])
def test_ways_to_write_a_rotation_share_a_key(one: str, other: str) -> None:
    first, second = (
        derivative_key(**{**INPUTS, "operation": replace(OPERATION, rotation=Rotation(Decimal(text)))})
        for text in (one, other)
    )
    assert first == second


OTHER_OPERATION: dict[str, Any] = {
    "image": Dimensions(4001, 3000),
    "region": Rectangle(0, 0, 512, 511),
    "size": Dimensions(512, 511),
    "rotation": Rotation(Decimal(0), mirror=True),
    "quality": Quality.GRAY,
    "format": Format.PNG,
}


@pytest.mark.parametrize("field", [field.name for field in fields(Operation)])
def test_every_part_of_the_operation_is_in_the_key(field: str) -> None:
    changed = replace(OPERATION, **{field: OTHER_OPERATION[field]})
    assert derivative_key(**{**INPUTS, "operation": changed}) != derivative_key(**INPUTS)


@pytest.mark.parametrize("field", [field.name for field in fields(RenderSettings)])
def test_every_render_setting_is_in_the_key(field: str) -> None:
    value = getattr(RenderSettings(), field)
    other: Any = (
        not value
        if isinstance(value, bool)
        else (0, 0, 0)
        if isinstance(value, tuple)
        else "other"
        if isinstance(value, str)
        else value + 1
    )
    changed = replace(RenderSettings(), **{field: other})
    assert derivative_key(**{**INPUTS, "settings": changed}) != derivative_key(**INPUTS)


@pytest.mark.parametrize("part", ["profile", "name", "version", "renderer"])
def test_every_text_is_in_the_key(part: str) -> None:
    assert derivative_key(**{**INPUTS, part: "other"}) != derivative_key(**INPUTS)


def test_the_page_is_in_the_key() -> None:
    assert derivative_key(**{**INPUTS, "page": 2}) != derivative_key(**INPUTS)


def test_the_render_version_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = derivative_key(**INPUTS)
    monkeypatch.setattr(keys, "RENDER_VERSION", sys.maxsize)
    assert derivative_key(**INPUTS) != before


def test_a_key_is_sixty_four_lowercase_hexadecimal_digits() -> None:
    key = derivative_key(**INPUTS)
    assert len(key) == 64
    assert bytes.fromhex(key).hex() == key


def test_a_key_ends_with_its_owner() -> None:
    """Whatever else differs; so a directory listing tells whose the files are."""
    owner = owner_of("mss", "image")
    others: list[dict[str, Any]] = [{"page": 2}, {"version": "2"}, {"renderer": "pillow 14"}]
    assert all(derivative_key(**{**INPUTS, **other}).endswith(owner) for other in [{}, *others])
    assert len({derivative_key(**{**INPUTS, **other})[:40] for other in [{}, *others]}) == 4
    assert len(owner) == 24
    assert owner.startswith(profile_digits("mss"))


def test_owners_that_look_alike_are_told_apart() -> None:
    assert len({owner_of("mss", name) for name in LOOK_ALIKES}) == len(LOOK_ALIKES)
    assert len({owner_of("a", "b:c"), owner_of("a:b", "c"), owner_of("b", "c")}) == 3
    assert owner_of("mss", "\udcff") != owner_of("mss", "\udcfe")


def test_a_value_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        derivative_key(**{**INPUTS, "name": {"a"}})


TEXTS = [
    ("a", "b", "c"),
    ("b", "b", "c"),
    ("a", "c", "c"),
    ("a", "b", "d"),
    ("ab", "", "c"),
    ("a", "b\udcff", "c"),
]


def test_the_key_of_an_original_follows_every_part() -> None:
    found = {original_key(profile=profile, name=name, version=version) for profile, name, version in TEXTS}

    assert len(found) == len(TEXTS)
    assert all(len(key) == 40 and set(key) <= set("0123456789abcdef") for key in found)
