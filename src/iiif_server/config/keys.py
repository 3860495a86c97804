"""What can be told of each key: its type, default and meaning, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from iiif_server.profiles.options import format_byte_size

_TYPES = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_PLAIN = re.compile(r"[A-Za-z~]([\w./:@-]*[\w/])?", re.ASCII)
_WORDS = {"false", "n", "no", "null", "off", "on", "true", "y", "yes", "~"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: as it is written.
        type: what it takes, in words.
        default: its default as YAML, or ``None`` for a required key.
        description: what it means.
        example: a value as YAML, for keys that are required or unset by default.
    """

    name: str
    type: str
    default: str | None
    description: str
    example: str | None


def keys_of(model: type[BaseModel]) -> Iterator[Key]:
    """Every key of a model, in its order."""
    schema = model.model_json_schema()
    required = schema.get("required", ())
    for name, entry in schema["properties"].items():
        examples = entry.get("examples", ())
        yield Key(
            name,
            _type(entry, schema.get("$defs", {})),
            None if name in required else _default(entry),
            entry.get("description", ""),
            _yaml(examples[0], entry) if examples else None,
        )


def _type(entry: dict[str, Any], definitions: dict[str, Any]) -> str:
    if reference := entry.get("$ref"):
        return _type(definitions[reference.rsplit("/", 1)[-1]], definitions)
    if "x-type" in entry:
        return str(entry["x-type"])
    if "enum" in entry:
        return " or ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    branches = entry.get("anyOf") or entry.get("oneOf")
    if branches:
        return " or ".join(dict.fromkeys(_type(branch, definitions) for branch in branches))
    if entry.get("format") == "path":
        return "path"
    kind = _TYPES.get(entry.get("type", ""), "any value")
    if kind == "list" and "items" in entry:
        return f"list of {_type(entry['items'], definitions)}"
    return kind + _range(entry)


def _range(entry: dict[str, Any]) -> str:
    low, high = entry.get("minimum"), entry.get("maximum")
    limits = [
        f"from {low}" if low is not None else "",
        f"above {entry['exclusiveMinimum']}" if "exclusiveMinimum" in entry else "",
        f"to {high}" if high is not None else "",
        f"below {entry['exclusiveMaximum']}" if "exclusiveMaximum" in entry else "",
    ]
    text = " ".join(limit for limit in limits if limit)
    return f" {text}" if text else ""


def _default(entry: dict[str, Any]) -> str:
    if "x-default" in entry:
        return str(entry["x-default"])
    return _yaml(entry.get("default"), entry)


def _yaml(value: Any, entry: dict[str, Any]) -> str:
    """A value as YAML on one line: as JSON, which is YAML, but plain where that reads better."""
    if entry.get("x-type") == "bytes" and isinstance(value, int):
        return format_byte_size(value)
    text = json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return str(value) if plain else text
