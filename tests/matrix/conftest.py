"""Fixtures of the matrix."""

from collections.abc import Iterator

import pytest

from iiif_server.imaging.tasks import WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A workbench with the default limits; what it keeps open is closed afterwards."""
    workbench = Workbench(WorkbenchSettings())
    yield Bench(workbench)
    workbench.close()
