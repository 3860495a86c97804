"""The configuration file as a JSON Schema, with the options of the installed profile types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from iiif_server.config.model import PROFILE_NAME, Config, Settings
from iiif_server.profiles.options import ProfileOptions

Schema = dict[str, Any]


def schema(option_models: Mapping[str, type[ProfileOptions]]) -> Schema:
    """The JSON Schema of the whole file, for editors that complete and check YAML by it."""
    settings, options, definitions = _schemas(option_models)
    profile_types = [_with_type(name, options[name]) for name in sorted(options)]
    profiles: Schema = {
        "description": Config.model_fields["profiles"].description,
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": PROFILE_NAME},
        "additionalProperties": {"oneOf": profile_types} if profile_types else False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of iiif-server",
        "type": "object",
        "additionalProperties": False,
        "required": ["profiles"],
        "properties": {**settings["properties"], "profiles": profiles},
        "$defs": definitions,
    }


def _schemas(
    option_models: Mapping[str, type[ProfileOptions]],
) -> tuple[Schema, dict[str, Schema], Schema]:
    """The schemas of the settings and of each type's options, and what these refer to."""
    models: list[type[BaseModel]] = [Settings, *option_models.values()]
    # Made together, so that two models of one name don't share a definition.
    references, result = models_json_schema([(model, "validation") for model in dict.fromkeys(models)])
    definitions = result["$defs"]
    names = {model: _name(references[model, "validation"]) for model in models}
    settings = definitions[names[Settings]]
    options = {name: definitions[names[model]] for name, model in option_models.items()}
    return settings, options, {key: value for key, value in definitions.items() if key not in names.values()}


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[-1]


def _with_type(name: str, options: Schema) -> Schema:
    return {
        **options,
        "title": f"Profile of type {name}",
        "properties": {"type": {"const": name, "description": "The profile type."}, **options["properties"]},
        "required": ["type", *options.get("required", [])],
    }
