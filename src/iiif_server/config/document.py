"""Read a YAML file into plain values that remember their lines.

The nodes that ruamel.yaml composes are turned into values here rather than by its constructor: they carry the
line of every key, and aliases are followed under a budget, so that a small file can't become a huge one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from iiif_server.config.reading import read_text
from iiif_server.config.text import Location, Problem, one_line, shown
from iiif_server.errors import ConfigurationError

MAX_VALUES = 50_000
MAX_DEPTH = 32

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_READ_AS_WRITTEN = {f"{_TAG}str", f"{_TAG}timestamp"}
_CONVERTED = {f"{_TAG}null", f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float"}


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration's values, and where they stand.

    Attributes:
        label: what problems call the file.
        data: plain values: mappings with text keys, lists, text, numbers, booleans and ``None``.
        lines: of each key and each list item, from 1.
        problems: mistakes that did not keep the rest from being read.
        unread: where a value could not be read and ``None`` stands in for it.
    """

    label: str
    data: Any
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unread: frozenset[Location] = frozenset()

    def line(self, location: Location) -> int:
        """The line of this place, or of the nearest thing around it; 0 where there is none."""
        if len(location) == 1 and location not in self.lines:
            return 0  # a key of the file's top level that is not there is on no line
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 0)


def read_document(path: Path, text: str | None = None) -> Document:
    """Read a YAML file, or the text that :func:`read_text` gave earlier.

    Raises:
        ConfigurationError: the file can't be read, or is not YAML.
    """
    label = one_line(str(path))
    root = _compose(read_text(path) if text is None else text, label)
    if root is None:
        return Document(label, None)
    reader = _Reader()
    try:
        data = reader.read(root, ())
    except _TooMuch as error:
        raise ConfigurationError([f"{label}: {error}"]) from None
    return Document(label, data, reader.lines, tuple(reader.problems), frozenset(reader.unread))


def _compose(text: str, label: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor that is used again is no mistake in YAML 1.2
            return yaml.compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigurationError([f"{label}{place}: not valid YAML: {one_line(reason)}"]) from None
    except RecursionError:
        raise ConfigurationError([f"{label}: nested too deeply"]) from None
    except YAMLError as error:  # a character that YAML does not allow
        position = getattr(error, "position", None)
        place = f":{text.count(chr(10), 0, position) + 1}" if isinstance(position, int) else ""
        unread = str(getattr(error, "reason", None) or error)
        raise ConfigurationError([f"{label}{place}: not valid YAML: {one_line(unread)}"]) from None
    except Exception as error:  # noqa: BLE001 - ruamel.yaml lets all kinds escape on garbled text
        raise ConfigurationError([f"{label}: not valid YAML: {one_line(repr(error))}"]) from None


class _TooMuch(Exception):
    """The file's aliases or its nesting go beyond what a configuration needs."""


class _Reader:
    """Turns nodes into values, noting lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self.unread: set[Location] = set()
        self._values = 0
        self._constructor = YAML(typ="safe", pure=True).constructor

    def read(self, node: Node, location: Location) -> Any:
        """The value of a node at this place."""
        self._count(len(location))
        self.lines.setdefault(location, node.start_mark.line + 1)
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag == f"{_TAG}map":
            return self._mapping(node, location)
        if isinstance(node, SequenceNode) and tag == f"{_TAG}seq":
            return [self.read(item, (*location, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and tag in _READ_AS_WRITTEN:
            return self._text(node.value, location)
        if isinstance(node, ScalarNode) and tag in _CONVERTED:
            return self._converted(node, location)
        self._unreadable(location, f"the tag {shown(tag.removeprefix(_TAG))} is not understood; remove it")
        return None

    def _count(self, depth: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _TooMuch(f"more than {MAX_VALUES} values, aliases followed; is this the right file?")
        if depth > MAX_DEPTH:
            raise _TooMuch(f"nested more than {MAX_DEPTH} levels deep")

    def _mapping(self, node: MappingNode, location: Location) -> dict[str, Any]:
        own: dict[str, tuple[int, Node]] = {}
        merged: dict[str, tuple[int, Node]] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                for name, entry in self._merged(value, location, 0):
                    merged.setdefault(name, entry)
                continue
            word = self._key(key, location)
            if word in own:
                repeat = f"given again on line {line}; remove one of the two"
                self.problems.append(Problem((*location, word), repeat))
            elif word is not None:
                own[word] = line, value
        entries = merged | own
        self.lines.update({(*location, name): line for name, (line, _) in entries.items()})
        return {name: self.read(value, (*location, name)) for name, (_, value) in entries.items()}

    def _key(self, key: Node, location: Location) -> str | None:
        """A key as it is written: ``2024`` is a good name for a profile."""
        if isinstance(key, ScalarNode) and _encodable(key.value):
            return str(key.value)
        line = key.start_mark.line + 1
        self.problems.append(Problem(location, f"the key on line {line} is not text; keys are words"))
        return None

    def _merged(self, node: Node, location: Location, depth: int) -> Iterator[tuple[str, tuple[int, Node]]]:
        """The entries that a ``<<`` brings, those that win first."""
        self._count(depth)
        if isinstance(node, SequenceNode):
            for item in node.value:
                yield from self._merged(item, location, depth + 1)
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                if key.tag != _MERGE and (name := self._key(key, location)) is not None:
                    yield name, (key.start_mark.line + 1, value)
            for key, value in node.value:
                if key.tag == _MERGE:
                    yield from self._merged(value, location, depth + 1)
        else:
            line = node.start_mark.line + 1
            text = f"'<<' on line {line} wants an alias of a mapping, such as '*defaults'"
            self.problems.append(Problem(location, text))

    def _converted(self, node: ScalarNode, location: Location) -> Any:
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, LookupError, OverflowError, YAMLError):
            self._unreadable(location, f"can't be read, got {shown(node.value)}")
            return None
        if isinstance(value, int) and abs(value) >= 2**63:
            self._unreadable(location, f"the number is too large, got {shown(node.value)}")
            return None
        return value

    def _text(self, value: str, location: Location) -> str | None:
        if _encodable(value):
            return value
        self._unreadable(location, f"holds half a character, got {shown(value)}")
        return None

    def _unreadable(self, location: Location, text: str) -> None:
        self.problems.append(Problem(location, text))
        self.unread.add(location)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, by an escape such as "\\ud800"
        return False
    return True
