"""Finding plugins: what loads, what fails, and that nothing of it is global."""

import importlib.metadata

import pytest

from iiif_server.api import ProfileType, Route, RouteAnswer, hookimpl
from iiif_server.errors import ConfigurationError
from iiif_server.plugins import create_plugin_manager, load_plugins, option_models
from iiif_server.profiles.disk import DiskOptions, DiskProfile


class FakeEntryPoint:
    def __init__(self, name, value):
        self.name, self.value = name, value

    @property
    def dist(self):
        return None

    def load(self):
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Registers:
    def __init__(self, *names):
        self.names = names

    @hookimpl
    def iiif_register_profiles(self):
        return [ProfileType(name, DiskOptions, DiskProfile) for name in self.names]


class Answers:
    def __init__(self, *paths):
        self.paths = paths

    @hookimpl
    def iiif_register_routes(self):
        return [Route(path, self.answer) for path in self.paths]

    async def answer(self, request):
        return RouteAnswer()


class Explodes:
    @hookimpl
    def iiif_register_profiles(self):
        raise RuntimeError("no luck")


class Misspelt:
    @hookimpl
    def iiif_register_profile(self):
        return []


@pytest.fixture
def installed(monkeypatch):
    def install(**plugins):
        entries = [FakeEntryPoint(name, value) for name, value in plugins.items()]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: entries)

    return install


def test_hook_iiif_register_profiles():
    """The built-in profile comes in through it, by the entry point of its distribution."""
    plugins = load_plugins()
    disk = next(plugin for plugin in plugins.found if plugin.name == "disk")

    assert disk.profile_types == ("disk",)
    assert disk.distribution.startswith("iiif-server ")
    assert option_models(plugins)["disk"] is DiskOptions


def test_each_call_makes_a_manager_of_its_own():
    assert create_plugin_manager()[0] is not create_plugin_manager()[0]


def test_a_plugin_that_fails_is_told_with_its_reason_and_stops_no_other(installed):
    installed(
        bad=ImportError("No module named 'elasticsearch'"),
        exploding=Explodes(),
        good=Registers("one", "two"),
        misspelt=Misspelt(),
        nothing=object(),
    )
    plugins = load_plugins()

    assert sorted(plugins.profile_types) == ["one", "two"]
    reasons = {plugin.name: plugin.failure for plugin in plugins.found}
    assert reasons["bad"] == "ImportError: No module named 'elasticsearch'"
    assert reasons["exploding"] == "RuntimeError: no luck"
    assert "iiif_register_profile" in str(reasons["misspelt"])
    assert reasons["good"] is None
    assert reasons["nothing"] is None
    assert len(plugins.failures) == 3


def test_hook_iiif_register_routes(installed):
    """Routes come with their plugin; one that no plugin may have fails that plugin alone."""
    installed(one=Answers("/one/{x}", "/one/{x}/y"), own=Answers("/status/x"))
    plugins = load_plugins()

    assert [route.path for route in plugins.routes] == ["/one/{x}", "/one/{x}/y"]
    assert {plugin.name: len(plugin.routes) for plugin in plugins.found} == {"one": 2, "own": 0}
    assert "the server's own" in str(next(iter(plugins.failures.values())))


def test_two_plugins_of_one_address_are_an_error_that_names_both(installed):
    installed(first=Answers("/same/{x}"), second=Answers("/same/{y}"))

    with pytest.raises(ConfigurationError, match=r"'/same/\{\}'.*'(first|second)'.*'(first|second)'"):
        load_plugins()


def test_two_plugins_of_one_type_are_an_error_that_names_both(installed):
    installed(first=Registers("same"), second=Registers("same"))

    with pytest.raises(ConfigurationError, match=r"'same'.*'(first|second)'.*'(first|second)'"):
        load_plugins()
