"""Say in plain sentences what pydantic found wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from iiif_server.config.text import Location, Problem, nearest, one_line, shown

_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a date as 2026-01-31",
    "dict_type": "a mapping of keys to values",
    "enum": "{expected}",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a mapping of keys to values",
    "multiple_of": "a multiple of {multiple_of}",
    "none_required": "nothing",
    "path_type": "a path",
    "set_type": "a list",
    "string_pattern_mismatch": "text of the pattern {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "string_type": "text",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "tuple_type": "a list",
}
_NOTHING = object()
_KEYS_WORTH_LISTING = 12
_REMOVE = "remove it (`iiif-server config example` shows every key)"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around the part of a configuration that a model reads.

    Attributes:
        more_keys: keys beside the model's own, which somebody else reads.
        elsewhere: tells where a key that is unknown here does belong, as the rest of a sentence.
    """

    more_keys: tuple[str, ...]
    elsewhere: Callable[[str], str | None]


def explain(
    error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any], surroundings: Surroundings
) -> list[Problem]:
    """One problem for each place that is wrong, with the places as they are in ``raw``."""
    wanted: dict[Location, list[str]] = {}
    meant: set[Location | None] = set()
    problems: list[Problem] = []
    missing: list[Problem] = []
    for detail in error.errors(include_url=False):
        location = _place(detail, raw)
        if detail["type"] == "extra_forbidden":
            problem, key = _unknown_key(location, model, surroundings)
            problems.append(problem)
            meant.add(key)
        elif detail["type"] == "missing":
            missing.append(Problem(location, _missing(location, model)))
        elif (want := _want(detail)) is not None:
            # The branches of a union complain one by one about the same value.
            wanted.setdefault(location, []).append(want)
        else:
            problems.append(Problem(location, _sentence(detail, raw)))
    told = {problem.location for problem in problems}
    problems += [
        Problem(location, f"want {' or '.join(dict.fromkeys(wants))}, got {shown(_value(raw, location))}")
        for location, wants in wanted.items()
        if location not in told
    ]
    # One slip, one problem: a key that is there under a misspelt name is not missing as well.
    return problems + [problem for problem in missing if problem.location not in meant]


def known_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that a model reads."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def missing_key(key: str, field: FieldInfo) -> str:
    """Say that a key is missing and what it is for."""
    if field.examples:
        return f"missing; add it, for example '{key}: {field.examples[0]}'"
    return f"missing; add it: {(field.description or 'it has no default').split('. ')[0].rstrip('.')}"


def _place(detail: ErrorDetails, raw: Mapping[str, Any]) -> Location:
    """Drop what pydantic adds to a location, such as the branch of a union."""
    location: Location = ()
    for part in detail["loc"]:
        inner = (*location, part)
        if _value(raw, inner, _NOTHING) is _NOTHING:
            # A missing key is a place all the same, and so is a key whose default turned out wrong.
            return inner if detail["type"] == "missing" or not location else location
        location = inner
    return location


def _value(raw: Any, location: Location, default: Any = None) -> Any:
    """What was written at a place."""
    value = raw
    for part in location:
        inside = part in value if isinstance(value, Mapping) else isinstance(value, list)
        if not inside or (isinstance(value, list) and part not in range(len(value))):
            return default
        value = value[part]
    return value


def _want(detail: ErrorDetails) -> str | None:
    template = _WANTED.get(detail["type"])
    if template is None:
        return None
    limits = {key: _plain(value) for key, value in detail.get("ctx", {}).items()}
    if limits.get("min_length") == 1:
        return "some text" if detail["type"] == "string_too_short" else "at least one entry"
    return template.format_map(limits)


def _plain(value: Any) -> Any:
    """A limit as people write it: ``10`` rather than ``10.0``."""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else value


def _sentence(detail: ErrorDetails, raw: Mapping[str, Any]) -> str:
    """What a validator said in its own words, or pydantic's where there is no sentence of ours."""
    reason = detail.get("ctx", {}).get("error")
    own = detail["type"] in {"value_error", "assertion_error"} and reason is not None
    text = one_line(str(reason) if own else detail["msg"]) or "not valid"
    value = _value(raw, _place(detail, raw))
    return f"{text}, got {shown(value)}" if own and not isinstance(value, (dict, list)) else text


def _unknown_key(
    location: Location, model: type[BaseModel], surroundings: Surroundings
) -> tuple[Problem, Location | None]:
    """What to say of an unknown key, and which key it was probably meant to be."""
    key = str(location[-1])
    holder = _model_at(model, location[:-1])
    known = sorted(known_keys(holder)) if holder else []
    if len(location) == 1:
        if hint := surroundings.elsewhere(key):
            return Problem(location, f"unknown key; {hint}"), None
        known += surroundings.more_keys
    meant = nearest(key, known)
    if meant:
        return Problem(location, f"unknown key; did you mean '{meant}'?"), (*location[:-1], meant)
    remedy = "remove it"
    if known:
        short = len(known) <= _KEYS_WORTH_LISTING
        remedy = f"known keys: {', '.join(known)}" if short else _REMOVE
    return Problem(location, f"unknown key; {remedy}"), None


def _missing(location: Location, model: type[BaseModel]) -> str:
    holder = _model_at(model, location[:-1])
    key = str(location[-1])
    field = known_keys(holder).get(key) if holder else None
    return missing_key(key, field) if field else "missing; add it"


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The model that reads the mapping at a place, if there is one."""
    holder: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = known_keys(holder).get(part) if holder else None
        holder = _model_in(field.annotation) if field else None
    return holder


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
