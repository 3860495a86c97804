"""What an application is made of: orders, or what was read by them before."""

from dataclasses import replace
from pathlib import Path

import pytest

from iiif_server.config.model import Config
from iiif_server.config.shares import Share
from iiif_server.errors import ConfigurationError
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.serving import application, template
from iiif_server.serving.application import Read, build, read
from iiif_server.serving.orders import Orders

TEXT = """\
preview_width: {width}
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
"""


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, Share]]:
    """Of what applications were made."""
    made: list[tuple[Config, Share]] = []
    monkeypatch.setattr(application, "build_app", lambda config, _, share: made.append((config, share)))
    return made


def orders(width: int) -> Orders:
    return Orders(config="there/is/none.yaml", text=TEXT.format(width=width), processes=2)


def test_what_was_read_is_not_read_again(plugins: Plugins, built: list[tuple[Config, Share]]) -> None:
    """By whichever of the processes; each gets its own share of it."""
    known = read(orders(1111), plugins)
    build(replace(orders(1111), process=1), plugins, known=known)

    assert built[0][0] is known.config
    assert (built[0][1].process, built[0][1].processes) == (1, 2)


def test_other_orders_are_read(plugins: Plugins, built: list[tuple[Config, Share]]) -> None:
    """As after a reload, which may come before a process starts."""
    known = read(orders(1111), plugins)
    build(orders(2222), plugins, known=known)
    build(orders(1111), plugins)

    assert [config.preview_width for config, _ in built] == [2222, 1111]


def test_a_directory_is_known_by_its_name(
    tmp_path: Path, plugins: Plugins, built: list[tuple[Config, Share]]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    known = read(Orders(directory=str(tmp_path / "one"), processes=2), plugins)
    for name in ("one", "two"):
        build(Orders(directory=str(tmp_path / name), process=1, processes=2), plugins, known=known)

    assert [config is known.config for config, _ in built] == [True, False]


def test_a_template_leaves_mistakes_to_those_who_can_tell_them(plugins: Plugins) -> None:
    """It reads what can be read, and has nothing where there are no orders or no plugins."""
    wrong = replace(orders(1), text="thumbnail_with: 3")

    assert isinstance(template.read_ahead(orders(1111), plugins), Read)
    assert template.read_ahead(wrong, plugins) is None
    assert template.read_ahead(None, plugins) is None
    assert template.read_ahead(orders(1111), None) is None
    with pytest.raises(ConfigurationError):
        build(wrong, plugins)
