"""The reference of what plugins may use, made from the code and its docstrings."""

import inspect
import re
from collections.abc import Callable, Iterator

from pydantic import BaseModel

import iiif_server.api
import iiif_server.testing
import iiif_server.testing.plugin
from iiif_server import hookspecs
from iiif_server.api import IIIFServerError
from iiif_server.testing.contract import PARTS, ProfileContract

OBJECTS = {
    "ByteSize": "The type of an option that is a number of bytes; people may write a unit: `512 MiB`.",
    "SOURCE_FORMATS": "Every format that is read, each a `SourceFormat`, in the order of trying.",
    "hookimpl": "Marks a function or method as the implementation of a hook.",
}
"""What is no class and so has no docstring of its own."""

INTRODUCTION = """\
# Plugin API

A plugin is a package with an entry point in the group `iiif_server` that names a module or an
object with hook implementations. It imports `iiif_server.api` and nothing else of the server:

```toml
[project.entry-points.iiif_server]
mine = "my_package"
```

`iiif-server plugins` lists what is installed, and what failed to load and why; `iiif-server plugins new NAME`
writes a package to begin with. [Your first profile](../tutorial/first-profile.md) goes through it step by
step, and [The life of a profile](../explanation/life-of-a-profile.md) says what is called when.
"""

TESTING = """\
## `iiif_server.testing`

What `pip install 'iiif-server[testing]'` adds: a contract of tests that tells when a profile is right,
and what it is made of.
"""

FIXTURES = """\
### Fixtures

pytest finds them by itself where iiif-server is installed.
"""

CONTRACT = """\
### What `ProfileContract` proves

In this order. Each part may be inherited alone, from `iiif_server.testing.contract`.
"""


def plugin_reference() -> str:
    """The whole page."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield INTRODUCTION
    yield "## Hooks\n"
    for name, function in hooks().items():
        yield f"### `{_signature(name, function)}`\n\n{_markdown(function)}\n"
    yield "## `iiif_server.api`\n"
    for name in iiif_server.api.__all__:
        yield from _entry(name, getattr(iiif_server.api, name))
    yield TESTING
    for name in iiif_server.testing.__all__:
        yield from _entry(name, getattr(iiif_server.testing, name))
    yield FIXTURES
    for name, fixture in fixtures().items():
        yield f"- `{name}`\n\n{_indented(_prose(fixture))}\n"
    yield CONTRACT
    for part in PARTS:
        yield f"**`{part.__name__}`** {_prose(inspect.getdoc(part))}\n"
        for name, function in vars(part).items():
            if name.startswith("test_"):
                yield f"- `{name}`: {_flat(inspect.getdoc(function))}"
        yield ""


def hooks() -> dict[str, Callable[..., object]]:
    """Every hook by its name."""
    found = inspect.getmembers(hookspecs, inspect.isfunction)
    return {name: function for name, function in found if name.startswith("iiif_")}


def fixtures() -> dict[str, str]:
    """The docstring of every fixture of the pytest plugin, by its name."""
    found = vars(iiif_server.testing.plugin).items()
    return {name: inspect.getdoc(thing) or "" for name, thing in found if name.startswith("iiif_")}


def _entry(name: str, thing: object) -> Iterator[str]:
    """What there is to say of a name."""
    if inspect.isfunction(thing):
        yield f"### `{_signature(name, thing)}`\n\n{_markdown(thing)}\n"
        return
    yield f"### `{name}`\n"
    if inspect.isclass(thing) and _is_made_by_call(thing):
        yield f"`{_signature(name, thing)}`\n"
    yield f"{OBJECTS.get(name) or _markdown(thing)}\n"
    if not inspect.isclass(thing) or thing is ProfileContract:
        return
    if issubclass(thing, IIIFServerError):
        yield f"Answered with {thing.status}.\n"
    members = {name: value for name, value in vars(thing).items() if _is_described(name, value)}
    if members:
        yield "*Members*\n"
    for member, value in members.items():
        if isinstance(value, property):
            yield f"- `{member}`\n\n{_indented(_markdown(value))}\n"
        else:
            bound = getattr(thing, member) if isinstance(value, classmethod) else value
            called = name.lower() if member == "__call__" else member
            called = f"{name}.{member}" if isinstance(value, classmethod) else called
            yield f"- `{_signature(called, bound)}`\n\n{_indented(_markdown(value))}\n"


def _is_made_by_call(thing: type) -> bool:
    """Whether people may make one: not of a protocol, nor of options or tests, which others make."""
    return not issubclass(thing, BaseModel | ProfileContract) and not getattr(thing, "_is_protocol", False)


def _is_described(name: str, value: object) -> bool:
    public = not name.startswith("_") or (name == "__call__" and inspect.getdoc(value) is not None)
    return public and (inspect.isfunction(value) or isinstance(value, property | classmethod))


def _signature(name: str, function: Callable[..., object]) -> str:
    text = f"{name}{inspect.signature(function)}".replace("(self, ", "(").replace("(self)", "()")
    text = re.sub(r"ForwardRef\(('[^']*')\)", r"\1", text)
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations come as texts
    text = text.replace("<factory>", "{}").replace("<built-in function time>", "time.time")
    if inspect.isclass(function):
        return text.removesuffix(" -> None")
    if inspect.isasyncgenfunction(inspect.unwrap(function)) and not inspect.isasyncgenfunction(function):
        return text.replace("-> AsyncIterator[", "-> AbstractAsyncContextManager[")  # as decorated
    return f"async {text}" if inspect.iscoroutinefunction(function) else text


def _markdown(thing: object) -> str:
    """A docstring in the manner of Google as Markdown: its sections become lists."""
    lines: list[str] = []
    for line in (inspect.getdoc(thing) or "").splitlines():
        if re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", line):
            lines += [f"*{line.removesuffix(':')}*", ""]
        elif item := re.fullmatch(r" {4}(\w+): (.*)", line):
            lines.append(f"- `{item[1]}`: {item[2]}")
        else:
            lines.append(re.sub("^ {8}", "  ", line))
    return _prose("\n".join(lines))


def _prose(docstring: str | None) -> str:
    return re.sub(r":[a-z]+:`~?([^`]*)`", r"`\1`", docstring or "").replace("``", "`")


def _flat(docstring: str | None) -> str:
    return " ".join(_prose(docstring).split())


def _indented(text: str) -> str:
    """As part of a list's item: four spaces, by which every Markdown knows it."""
    return re.sub("^(?=.)", "    ", text, flags=re.MULTILINE)
