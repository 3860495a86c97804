"""The packages in ``examples/``, which are not installed where these tests run."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tests.support.paths import REPOSITORY


def example_source(name: str) -> Path:
    """The module of the example of a profile type."""
    return REPOSITORY / "examples" / f"profile-{name}" / "src" / f"iiif_server_{name}" / "__init__.py"


@contextmanager
def imported_example(name: str) -> Iterator[ModuleType]:
    """Import the example of a profile type for a while."""
    spec = importlib.util.spec_from_file_location(f"iiif_server_{name}", example_source(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]
