"""Describe the configuration: a reference, an example, and a JSON Schema, the installed types included."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from iiif_server.config.keys import Key, keys_of
from iiif_server.config.model import Config, Settings
from iiif_server.config.schema import schema
from iiif_server.profiles.derivatives import DerivativeOverrides
from iiif_server.profiles.options import ProfileOptions

__all__ = ["BEGIN", "END", "example", "reference", "refreshed", "schema"]

BEGIN = "<!-- begin: generated from the code -->"
END = "<!-- end: generated from the code -->"
_WIDTH = 96
_EVERY_PROFILE = (
    "Below the profile's name, in `profiles`. Where a key of the top level may stand here as well, `null` is "
    "the top level's value."
)
_AS_AT_TOP = "As at the top level, for this profile."
_PLACEHOLDER = "CHANGE-ME"

OptionModels = Mapping[str, type[ProfileOptions]]


def reference(option_models: OptionModels) -> str:
    """Every key in Markdown tables: the top level, the options of all profiles, and those of each type."""
    common = {key.name for key in keys_of(ProfileOptions)}
    sections = [
        ("The top level", "", [*keys_of(Settings), _profiles_key()]),
        (
            "Every profile",
            _EVERY_PROFILE,
            [_type_key(), *_keys_of_profile(ProfileOptions)],
        ),
    ]
    for name, model in sorted(option_models.items()):
        own = [key for key in keys_of(model) if key.name not in common]
        intro = "Besides the options of every profile:" if own else "Only the options of every profile."
        sections.append((f"Profiles of type `{name}`", intro, own))
    return "\n".join(line for section in sections for line in _section(*section))


def refreshed(page: str, option_models: OptionModels) -> str:
    """A page with the part between its two markers replaced by the present reference.

    Raises:
        ValueError: the page lacks the markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks its markers {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{reference(option_models)}\n{END}{after}"


def example(option_models: OptionModels) -> str:
    """A configuration that loads as it stands, where optional keys are comments with their defaults."""
    lines = [
        "# A configuration of iiif-server. Keys that begin with '#' are optional and show their default or",
        "# an example: take the '#' away to set them. Relative paths start at this file's directory.",
        "",
    ]
    for key in keys_of(Settings):
        lines += _entry(
            replace(key, default=None, example="example") if key.name == "default_profile" else key
        )
    lines += [*_comment(_profiles_key().description), "profiles:"]
    for position, name in enumerate(sorted(option_models, key=lambda name: (name != "disk", name))):
        # Only the first is live: what other types require, nobody but the operator knows.
        title, mark = (f"example-{name}", "  #") if position else ("example", "  ")
        block = [f"{title}:", f"  type: {name}"]
        for key in _keys_of_profile(option_models[name]):
            block += [f"  {line}".rstrip() for line in _entry(key)]
        lines += [f"{mark}{line}".rstrip() for line in block[:-1]] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _keys_of_profile(model: type[ProfileOptions]) -> Iterator[Key]:
    """The keys of a profile; what the top level explains is not explained again."""
    shared = DerivativeOverrides.model_fields
    for key in keys_of(model):
        yield replace(key, description=_AS_AT_TOP, example=None) if key.name in shared else key


def _entry(key: Key) -> Iterator[str]:
    """A key with what it means above it, live if it is required."""
    yield from _comment(f"{key.description} ({key.type.replace('`', '')})")
    if key.default is None:
        yield f"{key.name}: {key.example or _PLACEHOLDER}"
    else:
        yield f"#{key.name}: {key.example or key.default}"
    yield ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text.replace("`", "'"), _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _section(title: str, intro: str, keys: Iterable[Key]) -> Iterator[str]:
    yield from (f"## {title}", "")
    if intro:
        yield from (intro, "")
    if rows := [_row(key) for key in keys]:
        yield from ("| Key | Type | Default | Description |", "|---|---|---|---|", *rows, "")


def _row(key: Key) -> str:
    default = "required" if key.default is None else f"`{key.default}`"
    cells = (f"`{key.name}`", key.type, default, key.description)
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _profiles_key() -> Key:
    description = Config.model_fields["profiles"].description or ""
    return Key("profiles", "mapping of profiles by name", None, description, None)


def _type_key() -> Key:
    return Key(
        "type", "name of an installed profile type", None, "Where the images are kept, as `disk`.", None
    )
