"""Whatever a file holds, the answer is a configuration or a list of mistakes."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from iiif_server.config.model import Config, Settings
from iiif_server.errors import ConfigurationError

from .conftest import StoreOptions

FIXTURES_ARE_FINE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

KEYS = st.sampled_from([*Config.model_fields, *StoreOptions.model_fields, "type", "<<", "x"]) | st.text(
    max_size=5
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(
        ["disk", "store", "5 MiB", "http://h", "~root/x", "~nobody-has-this-name", "#ffffff", "::1"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
PROFILE = st.dictionaries(KEYS, VALUES, max_size=4) | st.fixed_dictionaries(
    {"type": st.sampled_from(["disk", "store"]), "rights": st.just("x")},
    optional={name: VALUES for name in StoreOptions.model_fields if name != "rights"},
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5) | st.fixed_dictionaries(
    {"profiles": st.dictionaries(st.sampled_from(["a", "b", "c:d"]), PROFILE, max_size=3)},
    optional=dict.fromkeys(Settings.model_fields, SCALARS),
)
PIECES = """
    profiles type: disk rights a - ? : , [ ] { } & * ! | > ' " % @ ` # <<: &a *a !!int !!set !!float !!bool
    !!null --- ... ~ 0x .nan 1e5 2024-01-01 !!binary !!timestamp %YAML %TAG 1.1 \\ud800 é
"""
FRAGMENTS = st.sampled_from([*PIECES.split(), *"\n \t\r\x85\u2028\ufeff\0", "\n  "])


def check(load: Callable[..., Config], content: str | bytes) -> None:
    problems = ["none"]
    try:
        assert isinstance(load(content), Config)
    except ConfigurationError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert problem.isprintable()
        assert "Input should" not in problem
        assert len(problem) < 1500


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES_ARE_FINE)
@given(content=st.lists(FRAGMENTS, max_size=25).map("".join) | st.text(max_size=40))
def test_text(content: str, load: Callable[..., Config]) -> None:
    check(load, content.encode(errors="surrogatepass"))


@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURES_ARE_FINE)
@given(content=st.binary(max_size=60))
def test_bytes(content: bytes, load: Callable[..., Config]) -> None:
    check(load, content)


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES_ARE_FINE)
@given(document=DOCUMENTS)
def test_documents(document: Any, load: Callable[..., Config]) -> None:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(document, stream)

    check(load, stream.getvalue().encode(errors="surrogatepass"))
