"""Read a configuration, or make one for a directory, and tell all of its mistakes at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from platformdirs import user_cache_path
from pydantic import BaseModel, ValidationError

from iiif_server.config.document import Document, read_document
from iiif_server.config.explain import Surroundings, explain, known_keys
from iiif_server.config.model import APPLICATION, PROFILE_NAME, Config, ConfiguredProfile, Settings
from iiif_server.config.text import Location, Problem, dotted, nearest, one_line, shown, unknown
from iiif_server.errors import ConfigurationError
from iiif_server.profiles.options import ProfileOptions

DIRECTORY_PROFILE = "files"
"""The profile that serves a directory without a configuration."""

DIRECTORY_RIGHTS = "http://rightsstatements.org/vocab/CNE/1.0/"
"""Copyright not evaluated: what can be said of images that nobody described."""

OptionModels = Mapping[str, type[ProfileOptions]]
ModelT = TypeVar("ModelT", bound=BaseModel)


def load_config(
    path: Path, option_models: OptionModels, load_failures: Mapping[str, str], text: str | None = None
) -> Config:
    """Read a configuration file.

    Args:
        path: of a YAML file; relative paths in it start at its directory.
        option_models: the options of each installed profile type, by the type's name.
        load_failures: why plugins could not be loaded, by the plugin's name.
        text: the file's content, if it was read before.

    Raises:
        ConfigurationError: with one line for every mistake in the file.
    """
    document = read_document(path, text)
    return _Loader(document, option_models, load_failures, path.absolute().parent).load()


def directory_config(
    directory: Path, option_models: OptionModels, load_failures: Mapping[str, str] | None = None
) -> Config:
    """Make the configuration that serves every image below a directory.

    Its caches are the user's own and apart from those of any other directory.

    Args:
        directory: that holds the images.
        option_models: as for :func:`load_config`; ``disk`` among them.
        load_failures: as for :func:`load_config`.

    Raises:
        ConfigurationError: there is no such directory, or the ``disk`` profile type is not installed.
    """
    label = one_line(str(directory))
    try:
        root = directory.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise ConfigurationError([f"{label}: there is no such directory"]) from None
    if not root.is_dir():
        raise ConfigurationError([f"{label}: not a directory; to use a configuration file, add --config"])
    try:
        key = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    except UnicodeEncodeError:
        raise ConfigurationError([f"{label}: the directory's name is not UTF-8 text; rename it"]) from None
    profile = {"type": "disk", "rights": DIRECTORY_RIGHTS, "path": str(root)}
    data = {
        "cache_path": str(user_cache_path(APPLICATION, appauthor=False) / "directories" / key),
        "default_profile": DIRECTORY_PROFILE,
        "gallery": True,
        "profiles": {DIRECTORY_PROFILE: profile},
    }
    return _Loader(Document(label, data), option_models, load_failures or {}, root).load()


class _Loader:
    """Checks one document, part by part, so that a mistake in one part does not hide those in another."""

    def __init__(
        self, document: Document, option_models: OptionModels, load_failures: Mapping[str, str], base: Path
    ) -> None:
        self._document = document
        self._option_models = option_models
        self._load_failures = load_failures
        self._context: dict[str, Any] = {"base": base}
        self._problems = list(document.problems)

    def load(self) -> Config:
        data = self._document.data
        if data is None and not self._problems:
            self._complain((), "empty; `iiif-server config example` shows what to begin with")
        elif not isinstance(data, dict):
            self._complain((), f"want lines such as 'base_url: https://example.org', got {shown(data)}")
        else:
            rest = {key: value for key, value in data.items() if key != "profiles"}
            settings = self._validated(Settings, rest, (), Surroundings(("profiles",), self._at_profile))
            self._context["defaults"] = settings  # which limits of profiles have to fit
            profiles = self._profiles(data)
            self._check_default(data.get("default_profile"), data.get("profiles"))
            if settings is not None and not self._problems:
                chosen = {name: getattr(settings, name) for name in settings.model_fields_set}
                return Config(**chosen, profiles=profiles)
        raise ConfigurationError(self._lines())

    def _profiles(self, data: Mapping[str, Any]) -> dict[str, ConfiguredProfile]:
        raw = data.get("profiles")
        if isinstance(raw, dict) and raw:
            found = {name: self._profile(name, options) for name, options in raw.items()}
            return {name: profile for name, profile in found.items() if profile is not None}
        if any(
            nearest(key, known_keys(Config)) == "profiles" for key in data if key not in known_keys(Config)
        ):
            return {}  # misspelt, which is told as an unknown key
        if raw is None or raw == {}:
            known = ", ".join(sorted(self._option_models)) or "none is installed"
            text = f"missing; name at least one profile, with its 'type' ({known}) and 'rights'"
            self._complain(("profiles",), text)
        else:
            text = f"want a mapping of profile names to their options, got {shown(raw)}"
            self._complain(("profiles",), text)
        return {}

    def _profile(self, name: str, raw: Any) -> ConfiguredProfile | None:
        location = ("profiles", name)
        if not re.fullmatch(PROFILE_NAME.strip("^$"), name):
            text = "a profile's name begins with a letter or digit, and holds only those, '.', '_' and '-'"
            self._complain(location, text)
        if not isinstance(raw, dict):
            self._complain(location, f"want a mapping with at least 'type' and 'rights', got {shown(raw)}")
            return None
        options = {key: value for key, value in raw.items() if key != "type"}
        surroundings = Surroundings(("type",), self._at_top)
        type_name = self._type(location, raw)
        if type_name is None:
            # What every type has can be checked all the same.
            common = known_keys(ProfileOptions)
            shared = {key: value for key, value in options.items() if key in common}
            self._validated(ProfileOptions, shared, location, surroundings)
            return None
        checked = self._validated(self._option_models[type_name], options, location, surroundings)
        if checked is None or self._problems:
            return None
        return ConfiguredProfile(name=name, type=type_name, options=checked)

    def _type(self, profile: Location, raw: Mapping[str, Any]) -> str | None:
        """The name of the profile's type, if it is installed."""
        location = (*profile, "type")
        known = sorted(self._option_models)
        value = raw.get("type")
        if isinstance(value, str) and value in self._option_models:
            return value
        if value is None:
            slip = nearest("type", [key for key in raw if key not in known_keys(ProfileOptions)])
            what = f"missing; is '{one_line(slip)}' meant to be 'type'?" if slip else "missing;"
            self._complain(location, f"{what} installed types: {', '.join(known) or 'none'}")
        elif not isinstance(value, str):
            self._complain(location, f"want the name of a profile type, got {shown(value)}")
        else:
            text = unknown(f"unknown profile type {shown(value)}", value, known, "installed types")
            # A plugin that did not load is the probable cause: which types it has can't be known.
            for name, reason in self._load_failures.items():
                text += f"; the plugin {name} could not be loaded: {reason}"
            if not self._load_failures and nearest(value, known) is None:
                text += "; others come with plugins: install the package that has it"
            self._complain(location, text)
        return None

    def _check_default(self, default: Any, profiles: Any) -> None:
        if isinstance(default, str) and isinstance(profiles, dict) and profiles and default not in profiles:
            what = f"no profile is called {shown(default)}"
            self._complain(("default_profile",), unknown(what, default, profiles, "profiles"))

    def _validated(
        self, model: type[ModelT], raw: Mapping[str, Any], location: Location, surroundings: Surroundings
    ) -> ModelT | None:
        for key, field in known_keys(model).items():
            if raw.get(key) == "" and Path in (field.annotation, *get_args(field.annotation)):
                # It would mean the configuration's own directory, which nobody means.
                self._complain((*location, key), "want a path, got ''")
        try:
            # As JSON, because strict JSON is what YAML can say: text may become a path, and a list a tuple.
            return model.model_validate_json(json.dumps(raw), context=self._context)
        except ValidationError as error:
            for problem in explain(error, model, raw, surroundings):
                self._complain((*location, *problem.location), problem.text)
            return None

    def _at_profile(self, key: str) -> str | None:
        if key == "type" or any(key in model.model_fields for model in self._option_models.values()):
            return f"it belongs to a profile, as profiles.<name>.{key}"
        return None

    def _at_top(self, key: str) -> str | None:
        return "it belongs to the top level of the file" if key in known_keys(Config) else None

    def _complain(self, location: Location, text: str) -> None:
        parts = (location[:end] for end in range(len(location) + 1))
        if not any(part in self._document.unread for part in parts):
            self._problems.append(Problem(location, text))

    def _lines(self) -> list[str]:
        """The problems in the order of the file."""
        lines = [(self._document.line(problem.location), problem) for problem in self._problems]
        lines.sort(key=lambda item: item[0])
        return [
            ": ".join(
                part
                for part in (
                    f"{self._document.label}:{line}" if line else self._document.label,
                    dotted(problem.location),
                    one_line(problem.text),
                )
                if part
            )
            for line, problem in lines
        ]
