"""What the tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_museum import Services


@pytest.fixture
def services() -> Iterator[Services]:
    """The fakes, which listen."""
    fake = Services()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def settings(services: Services) -> dict[str, Any]:
    """The options of a profile that asks the fakes, anew each time."""
    return {"es_hosts": [services.url], "mss_url": services.url, "info_cache_ttl": 0, "recheck_interval": 0}


@pytest.fixture
def museum(iiif_profile, settings):
    """A profile of the museum, as the kit sets it up."""
    return iiif_profile("mss", **settings)
