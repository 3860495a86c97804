"""What a profile's info.json links to: the options, checked as the specification wants the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from iiif_server.iiif.links import PLACEHOLDERS, Links, check_template, check_uri_template

Location = tuple[str | int, ...]

_PLACEHOLDERS = ", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
_SERVICE_KEYS = (("id", "type"), ("@id", "@type"))
_URI_KEYS: set[Location] = {("id",), ("@id",)}
_TYPE_KEYS: set[Location] = {("type",), ("@type",)}

Template = Annotated[str, StringConstraints(min_length=1), AfterValidator(check_template)]
UriTemplate = Annotated[str, AfterValidator(check_uri_template)]


class LinkedResource(BaseModel):
    """One entry of ``partOf`` or ``seeAlso`` (Image API 3.0 section 5.8)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: UriTemplate = Field(description="The URI of what is linked to.")
    type: Template = Field(description="Its type, such as `Manifest` or `Dataset`.")
    label: dict[str, tuple[Template, ...]] | None = Field(
        default=None, description="Its name for people: a list of texts for each language."
    )
    format: Template | None = Field(default=None, description="Its media type.")
    profile: Template | None = Field(default=None, description="The URI of its schema.")


def _check_service(service: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a service as it is.

    Raises:
        ValidationError: with every place in it that is wrong.
    """
    if mistakes := list(_mistakes(service)):
        raise ValidationError.from_exception_data("service", mistakes)
    return service


def _mistakes(service: dict[str, JsonValue]) -> Iterator[InitErrorDetails]:
    if not any(all(key in service for key in keys) for keys in _SERVICE_KEYS):
        lacking = PydanticCustomError("lacking", "want an 'id' and a 'type', or an '@id' and an '@type'")
        yield InitErrorDetails(type=lacking, input=service)
    for place, value in _leaves(service, ()):
        if place in _URI_KEYS | _TYPE_KEYS and not isinstance(value, str):
            yield InitErrorDetails(type="string_type", loc=place, input=value)
        elif isinstance(value, float) and not isfinite(value):
            yield InitErrorDetails(type="finite_number", loc=place, input=value)
        elif isinstance(value, str):
            check = check_uri_template if place in _URI_KEYS else check_template
            try:
                check(value)
            except ValueError as error:
                yield InitErrorDetails(type="value_error", loc=place, input=value, ctx={"error": error})


def _leaves(value: JsonValue, place: Location) -> Iterator[tuple[Location, JsonValue]]:
    """Every value that holds no others, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*place, index))
    else:
        yield place, value


Service = Annotated[dict[str, JsonValue], AfterValidator(_check_service)]


class LinkOptions(BaseModel):
    """The options by which info.json tells of what lies around an image."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    part_of: tuple[LinkedResource, ...] = Field(
        default=(),
        description="What an image is part of, such as a manifest, as info.json (version 3) states it: "
        "mappings with `id` and `type`, and perhaps `label`, `format` and `profile`. Texts may hold the "
        f"placeholders {_PLACEHOLDERS}.",
        examples=[[{"id": "https://example.org/manifests/{name}", "type": "Manifest"}]],
        json_schema_extra={"x-type": "list of mappings"},
    )
    see_also: tuple[LinkedResource, ...] = Field(
        default=(),
        description="Machine-readable descriptions of an image, as info.json (version 3) links to them; "
        "mappings like those of `part_of`.",
        examples=[
            [{"id": "https://example.org/records/{name}.xml", "type": "Dataset", "format": "text/xml"}]
        ],
        json_schema_extra={"x-type": "list of mappings"},
    )
    service: tuple[Service, ...] = Field(
        default=(),
        description="Services beside the image's own, as info.json states them: mappings as in the JSON, "
        "with `id` and `type`, or `@id` and `@type`. Texts may hold the placeholders of `part_of`.",
        examples=[[{"id": "https://example.org/search/{name}", "type": "Service"}]],
        json_schema_extra={"x-type": "list of mappings"},
    )
    physical_scale: bool = Field(
        default=False,
        description="State in info.json how large a pixel is, where the source tells its resolution.",
    )

    @cached_property
    def links(self) -> Links:
        """The links as templates."""
        return Links(_plain(self.part_of), _plain(self.see_also), self.service)


def _plain(resources: tuple[LinkedResource, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(resource.model_dump(mode="json", exclude_none=True) for resource in resources)
