"""The version of the Image API that this folder is about."""

import pytest


@pytest.fixture(scope="session")
def version() -> int:
    return 2
