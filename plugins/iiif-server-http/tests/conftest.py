"""An origin, profiles that fetch from it, and nothing left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from http_origin import Origin, running_origin
from iiif_server_http import iiif_register_profiles

from iiif_server.api import ProfileType
from iiif_server.testing import ProfileSetup
from iiif_server.testing.leaks import Resources

LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
async def nothing_left(iiif_probe: object) -> AsyncIterator[None]:
    """Fail a test that leaves a task, a thread or an open file."""
    before = Resources.now()
    yield
    assert await before.left_behind_by_now() == []


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture
def http_type() -> ProfileType:
    return iiif_register_profiles()[0]


@pytest.fixture
def http_profile(
    iiif_profile: Callable[..., ProfileSetup], http_type: ProfileType, origin: Origin
) -> Callable[..., ProfileSetup]:
    """Set a profile up whose images are the origin's pages, asked anew at each look."""

    def set_up(**options: Any) -> ProfileSetup:
        if "allow" not in options:
            options.setdefault("url", f"{origin.url}/{{name}}")
        defaults = {"allow_private": LOOPBACK, "max_age": 0, "remember_failures": 0}
        return iiif_profile(http_type, **defaults | options)

    return set_up
