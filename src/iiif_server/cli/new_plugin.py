"""``iiif-server plugins new``: write a package with a profile type of one's own, which works at once."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from iiif_server.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from iiif_server.cli.serve import Subparsers

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_PREFIX = "iiif-server-"
_TEXTS = frozenset({".cfg", ".md", ".py", ".toml", ".txt", ".yaml"})
_LEFT_OUT = frozenset({"__pycache__", "build", "dist"})


def add_parser(subparsers: Subparsers) -> None:
    """Add this command."""
    parser = subparsers.add_parser(
        "new",
        help="write a package with a profile type of your own",
        description="Write a package with a profile type of your own, and tests of it that pass.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="of the profile type: letters, digits and hyphens, such as 'my-store'"
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to put the package's directory (default: here)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the package, and print what to do next."""
    names = Names(checked_name(arguments.name))
    package = write_package(names, arguments.directory)
    shown = str(package) if package.is_absolute() else f"./{package}"
    code = f"{shown}/src/{names.module}/__init__.py"
    print(
        f"Wrote {shown}: the profile type {names.profile_type!r}, which works. Next:\n\n"
        f"  pip install --editable {shlex.quote(f'{shown}[test]')}\n"
        f"  pytest {shlex.quote(shown)}\n"
        f"  iiif-server serve --config {shlex.quote(f'{shown}/config.yaml')}\n\n"
        f"Then make it yours: {code}"
    )
    return 0


@dataclass(frozen=True, slots=True)
class Names:
    """What the parts of a package are called.

    Attributes:
        profile_type: the ``type`` in configurations, and the entry point.
    """

    profile_type: str

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"{_PREFIX}{self.profile_type}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """What the names of classes begin or end with."""
        return "".join(part.capitalize() for part in self.profile_type.split("-"))

    def put_into(self, text: str) -> str:
        """A text of the example with these names in the place of its own."""
        for theirs, ours in (
            ("iiif_server_hello", self.module),
            ("Hello", self.class_name),
            ("test_hello", f"test_{self.profile_type.replace('-', '_')}"),
            ("hello", self.profile_type),
        ):
            text = text.replace(theirs, ours)
        return text


def checked_name(name: str) -> str:
    """The name of a new profile type, if it can be one.

    Raises:
        ConfigurationError: it can't, or an installed plugin has a type of this name.
    """
    if name.startswith(_PREFIX):
        raise ConfigurationError([f"{name}: want the profile type's name alone: {name[len(_PREFIX) :]!r}"])
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        problem = (
            f"{name!r} can't be the name of a profile type: want small letters and digits, with hyphens "
            f"between them, {_LONGEST_NAME} characters at most, such as 'my-store'"
        )
        raise ConfigurationError([problem])
    from iiif_server.plugins import load_plugins  # other commands start without it

    for plugin in load_plugins().found:
        if name in plugin.profile_types:
            problem = f"{name}: the installed {plugin.distribution} has a profile type of this name already"
            raise ConfigurationError([problem])
    return name


def write_package(names: Names, directory: Path) -> Path:
    """Write a new package's directory, and return its path.

    Raises:
        ConfigurationError: there is something in its place, or it can't be written.
    """
    package = directory / names.distribution
    try:
        package.mkdir()
    except FileExistsError:
        raise ConfigurationError([f"{package}: exists already, and nothing is overwritten"]) from None
    except OSError as error:
        raise ConfigurationError([f"{package}: {error.strerror or error}"]) from None
    try:
        for path, content in rendered(template(), names, PurePosixPath()):
            target = package / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        shutil.rmtree(package, ignore_errors=True)
        raise ConfigurationError([f"{error.filename or package}: {error.strerror or error}"]) from None
    return package


def rendered(
    source: Traversable, names: Names, below: PurePosixPath
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Every file of a new package: its path below a directory, and its content."""
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
        path = below / names.put_into(entry.name)
        if entry.name in _LEFT_OUT or entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from rendered(entry, names, path)
        elif path.suffix in _TEXTS:
            yield path, names.put_into(entry.read_text(encoding="utf-8")).encode()
        else:
            yield path, entry.read_bytes()


def template() -> Traversable:
    """The example ``plugin-hello``, which travels with the package; in a checkout it is where it is."""
    from importlib.resources import files  # other commands start without it

    packaged = files("iiif_server") / "templates" / "plugin-hello"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[3] / "examples" / "plugin-hello"
