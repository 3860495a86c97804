"""The reference, the example and the JSON Schema agree with what is read."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from iiif_server.config.describe import BEGIN, END, example, reference, refreshed, schema
from iiif_server.config.model import Config
from iiif_server.profiles.derivatives import DerivativeOverrides
from iiif_server.profiles.options import ProfileOptions

from .conftest import StoreOptions

Load = Callable[..., Config]
Models = dict[str, type[ProfileOptions]]


def test_the_example_loads(load: Load, option_models: Models) -> None:
    config = load(example(option_models))

    assert config.default_profile == "example"
    assert config.profiles["example"].type == "disk"


def test_the_example_loads_with_every_line_in_use(load: Load, option_models: Models) -> None:
    every_type = re.sub(r"^  #", "  ", example(option_models), flags=re.MULTILINE)
    whole = re.sub(r"^( *)#(?=[a-z])", r"\1", every_type, flags=re.MULTILINE)

    config = load(whole)

    assert set(config.profiles) == {"example", "example-store"}
    assert config.model_fields_set == set(Config.model_fields)
    assert config.profiles["example-store"].options.model_fields_set == set(StoreOptions.model_fields)
    assert config.jpeg_quality == Config.model_fields["jpeg_quality"].default


def test_the_example_begins_with_the_only_type_there_is(load: Load, option_models: Models) -> None:
    del option_models["disk"]

    assert load(example(option_models)).profiles["example"].type == "store"


def test_the_reference_names_every_key_once(option_models: Models) -> None:
    text = reference(option_models)

    for key in Config.model_fields:
        assert text.count(f"\n| `{key}` |") == (2 if key in ProfileOptions.model_fields else 1), key
    for key in {
        "type",
        *ProfileOptions.model_fields,
        *StoreOptions.model_fields,
    } - Config.model_fields.keys():
        assert text.count(f"\n| `{key}` |") == 1, key


def test_what_the_top_level_explains_is_explained_once(option_models: Models) -> None:
    for text in (reference(option_models), example({"disk": option_models["disk"]})):
        assert text.count("How hard PNGs are compressed") == 1
        assert text.count("As at the top level, for this profile.") == len(DerivativeOverrides.model_fields)
    profile = schema(option_models)["properties"]["profiles"]["additionalProperties"]["oneOf"][0]
    assert profile["properties"]["png_compression"]["description"].startswith("How hard PNGs are compressed")


@pytest.mark.parametrize(
    "row",
    [
        "| `hosts` | list of text | required | Base addresses. Used in turn. |",
        "| `cache_size` | bytes | `1 MiB` | Bytes kept \\| on disk. |",
        "| `mode` | `fast` or `slow` | `fast` | How to read. |",
        "| `limit` | whole number or text | `4` | A number or 'all'. |",
        '| `retry` | mapping | `{"attempts": 3}` | What to do on errors. |',
        "| `max_area` | whole number from 1 or null | `null` | As at the top level, for this profile. |",
        "| `path` | path or null | `null` | Where the images are. |",
    ],
)
def test_rows_of_the_reference(row: str, option_models: Models) -> None:
    assert f"\n{row}\n" in reference(option_models)


def test_a_type_without_options_of_its_own(option_models: Models) -> None:
    assert "Only the options of every profile." in reference({"plain": ProfileOptions})


def test_only_the_part_between_the_markers_is_replaced(option_models: Models) -> None:
    page = f"before\n{BEGIN}\nstale\n{END}\nafter\n"

    fresh = refreshed(page, option_models)

    assert fresh == f"before\n{BEGIN}\n\n{reference(option_models)}\n{END}\nafter\n"
    assert refreshed(fresh, option_models) == fresh
    with pytest.raises(ValueError, match="markers"):
        refreshed("no markers", option_models)


def accepts(part: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """As much of JSON Schema as our own schemas use."""
    if "$ref" in part:
        return accepts(whole["$defs"][part["$ref"].rsplit("/", 1)[-1]], value, whole)
    if "anyOf" in part:
        return any(accepts(branch, value, whole) for branch in part["anyOf"])
    if "oneOf" in part:
        return sum(accepts(branch, value, whole) for branch in part["oneOf"]) == 1
    if not part.keys() - {"title", "description"}:
        return True
    if "const" in part:
        return bool(value == part["const"])
    if "enum" in part:
        return value in part["enum"]
    match part["type"], value:
        case "object", dict():
            return accepts_object(part, value, whole)
        case "array", list():
            return len(value) >= part.get("minItems", 0) and all(
                accepts(part["items"], item, whole) for item in value
            )
        case "string", str():
            return len(value) >= part.get("minLength", 0) and bool(re.search(part.get("pattern", ""), value))
        case ("boolean", bool()) | ("null", None):
            return True
        case ("integer", int()) | ("number", int() | float()) if not isinstance(value, bool):
            low, high = part.get("minimum", value), part.get("maximum", value)
            return bool(low <= value <= high)
    return False


def accepts_object(part: dict[str, Any], value: dict[str, Any], whole: dict[str, Any]) -> bool:
    if not set(part.get("required", ())) <= set(value) or len(value) < part.get("minProperties", 0):
        return False
    names = part.get("propertyNames", {}).get("pattern", "")
    properties, others = part.get("properties", {}), part.get("additionalProperties", True)
    for key, entry in value.items():
        if not re.search(names, key):
            return False
        branch = properties.get(key, others)
        if branch is False or (branch is not True and not accepts(branch, entry, whole)):
            return False
    return True


@pytest.fixture
def document(option_models: Models) -> Any:
    whole = re.sub(r"^( *)#(?=[a-z])", r"\1", example({"disk": option_models["disk"]}), flags=re.MULTILINE)
    return YAML(typ="safe", pure=True).load(whole)


def test_the_schema_accepts_the_example(option_models: Models, document: Any) -> None:
    whole = schema(option_models)
    document["profiles"]["b"] = {"type": "store", "rights": "x", "hosts": ["a"], "retry": {"attempts": 2}}

    assert json.loads(json.dumps(whole)) == whole
    assert accepts(whole, document, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"profiles": {}},
        {"profiles": {"a:b": {"type": "disk", "rights": "x"}}},
        {"profiles": {"a": {"type": "tape", "rights": "x"}}},
        {"profiles": {"a": {"type": "disk"}}},
        {"profiles": {"a": {"rights": "x"}}},
        {"profiles": {"a": {"type": "disk", "rights": "x", "hosts": ["a"]}}},
        {"profiles": {"a": {"type": "store", "rights": "x", "hosts": ["a"], "retry": {"atempts": 2}}}},
        {"profiles": {"a": {"type": "disk", "rights": "x", "jpeg_quality": 101}}},
        {"profiles": {"a": {"type": "disk", "rights": "x", "preferred_formats": ["bmp"]}}},
        {"profiles": {"a": {"type": "disk", "rights": "x", "part_of": [{"id": "https://example.org"}]}}},
        {"jpeg_subsampling": "4:1:1"},
        {"image_pool_size": "ten"},
        {"image_pool_size": 0},
        {"disk_cache_size": "5 apples"},
        {"unknown": 1},
    ],
)
def test_the_schema_refuses_mistakes(change: dict[str, Any], option_models: Models, document: Any) -> None:
    whole = schema(option_models)

    assert not accepts(whole, document | change, whole)


def test_two_types_may_share_their_options(option_models: Models) -> None:
    model = option_models["disk"]
    whole = schema({"disk": model, "tape": model})

    assert accepts(whole, {"profiles": {"a": {"type": "tape", "rights": "x"}}}, whole)


def test_the_schema_without_profile_types_accepts_no_profile() -> None:
    whole = schema({})

    assert not accepts(whole, {"profiles": {"a": {"type": "disk", "rights": "x"}}}, whole)
