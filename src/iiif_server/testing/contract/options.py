"""The profile's own keys in a configuration, and what its code leans on."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator

import pytest

from iiif_server.api import FileProfile, Profile, ProfileOptions
from iiif_server.config.describe import example, reference, schema
from iiif_server.errors import ConfigurationError
from iiif_server.testing.contract.base import ContractBase
from iiif_server.testing.profiles import ProfileSetup

_MISTAKE = "an_option_that_nobody_knows"
_PUBLIC = ("iiif_server.api", "iiif_server.testing")
_GIVEN = frozenset({*Profile.__mro__, *FileProfile.__mro__, *ProfileOptions.__mro__})
"""What profiles and their options are made from, which is the server's own."""


class OptionsContract(ContractBase):
    """How the profile type fits into a configuration, and into the server."""

    async def test_an_unknown_option_is_a_mistake_that_is_named(self, profile: ProfileSetup) -> None:
        """A key that the options do not have stops the start, and the message names it."""
        mistaken = profile.with_options(**{_MISTAKE: 1})
        with pytest.raises(ConfigurationError) as caught:
            await asyncio.to_thread(lambda: mistaken.options)

        assert f"profiles.{profile.name}.{_MISTAKE}" in str(caught.value)

    async def test_every_option_says_what_it_means(self, profile: ProfileSetup) -> None:
        """Each option has a description, and the reference, the example and the JSON Schema hold it."""
        model = profile.profile_type.options
        own = model.model_fields.keys() - ProfileOptions.model_fields.keys()
        models = {profile.profile_type.name: model}
        texts = (reference(models), example(models), str(schema(models)))

        assert [key for key in own if not model.model_fields[key].description] == []
        assert [key for key in own for text in texts if key not in text] == []

    async def test_only_the_api_is_imported(self, profile: ProfileSetup) -> None:
        """The modules of the profile and its options import nothing of the server but `iiif_server.api`."""
        made = profile.profile_type
        written = {*made.profile.__mro__, *made.options.__mro__} - _GIVEN
        found = {name for cls in written for name in _imports_of(cls)}

        assert sorted(name for name in found if not name.startswith(_PUBLIC)) == []


def _imports_of(cls: type) -> Iterator[str]:
    """What the module of a class imports of the server."""
    module = inspect.getmodule(cls)
    try:
        source = inspect.getsource(module) if module else ""
    except OSError:  # a module without a file
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "iiif_server":
            names = [f"iiif_server.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "iiif_server")
