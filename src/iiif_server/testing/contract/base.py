"""The fixtures of the contract, and how its tests ask a profile."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest
import pytest_asyncio

from iiif_server.api import Dimensions, ImageInfo, LendsOriginals, Profile
from iiif_server.testing.images import KnownImage, draw_image
from iiif_server.testing.profiles import ProfileSetup

LiveProfile: TypeAlias = Profile[Any]
Call: TypeAlias = Callable[[], Awaitable[object]]
Change: TypeAlias = Callable[[], Any]
"""A function of the author's, sync or async."""


class ContractBase:
    """The fixtures that the parts of the contract share."""

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.asyncio]

    @pytest.fixture
    def profile(self) -> ProfileSetup:
        """The profile to test."""
        return pytest.fail(f"{type(self).__name__} has to define the fixture `profile`: see ProfileContract")

    @pytest.fixture
    def known_image(self) -> KnownImage:
        """An image that is in the store."""
        return pytest.fail(
            f"{type(self).__name__} has to define the fixture `known_image`: see ProfileContract"
        )

    @pytest.fixture
    def unknown_name(self) -> str:
        """A name without an image."""
        return "there-is-no-image-of-this-name"

    @pytest.fixture
    def vanish(self) -> Change:
        """What takes the known image out of the store."""
        return pytest.skip("the fixture `vanish` is not defined, which would take the known image away")

    @pytest.fixture
    def modify(self) -> Change:
        """What puts another image in the known one's place."""
        return pytest.skip("the fixture `modify` is not defined, which would change the known image")

    @pytest.fixture
    def damage(self) -> Change:
        """What makes the known image unreadable where it is kept."""
        return pytest.skip("the fixture `damage` is not defined, which would damage the known image")

    @pytest.fixture
    def bait(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """An image that is a file of this machine, and in no store."""
        path = tmp_path_factory.mktemp("outside") / "bait.tif"
        path.write_bytes(draw_image("bait", 33, 21).original)
        return path

    @pytest_asyncio.fixture
    async def live(
        self,
        known_image: KnownImage,  # noqa: ARG002 - it has to be in the store
        profile: ProfileSetup,
    ) -> AsyncIterator[LiveProfile]:
        """The profile, alive."""
        async with profile.live() as live:
            yield live


async def changed(change: Change) -> Any:
    """Call a function of the author's, which may be asynchronous."""
    result = change()
    return await result if inspect.isawaitable(result) else result


async def outcome(call: Call) -> object:
    """What a call gives, or the exception that it raises."""
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - which one it is, is what the tests ask
        return error


async def borrowed(profile: LiveProfile, info: ImageInfo, hint: Dimensions | None = None) -> bytes:
    """The bytes of the file that a profile lends."""
    async with profile.use_source(info, hint) as path:
        return await asyncio.to_thread(path.read_bytes)


async def lent_original(profile: LendsOriginals, name: str) -> bytes:
    """The bytes of the file that a profile lends as the original."""
    async with profile.use_original(name) as path:
        return await asyncio.to_thread(path.read_bytes)


async def original(profile: LiveProfile, name: str, chunk_size: int = 65_536) -> list[bytes]:
    """The pieces of an original."""
    return [piece async for piece in profile.stream_original(name, chunk_size)]


def look_ups(profile: LiveProfile, name: str, info: ImageInfo | None = None) -> Mapping[str, Call]:
    """Every method that looks a name up, ready to be called.

    Args:
        profile: whose methods.
        name: to look up.
        info: of an image; a plain one is given to ``use_source`` under the name.
    """
    calls: dict[str, Call] = {
        "get_info": lambda: profile.get_info(name),
        "resolve_original_size": lambda: profile.resolve_original_size(name),
        "stream_original": lambda: original(profile, name),
    }
    if isinstance(profile, LendsOriginals):
        lender = profile
        calls["use_original"] = lambda: lent_original(lender, name)
    if type(info) is ImageInfo:  # a subclass may hold what the profile needs, of another image
        other = ImageInfo(name, info.width, info.height, info.version)
        calls["use_source"] = lambda: borrowed(profile, other)
    return calls


def skip_without(module: str, why: str) -> None:
    """Skip a test that needs a module which is not installed."""
    with suppress(ImportError):
        __import__(module)
        return
    pytest.skip(f"{module} is not installed, {why}")


def secrets(setup: ProfileSetup, *others: Path) -> frozenset[str]:
    """What no client may read: the paths of the set-up and of its options, and that there was a traceback."""
    found = {"Traceback", str(setup.directory), *map(str, others)}
    pending: list[object] = [setup.options.model_dump()]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            pending.extend(value)
        elif isinstance(value, Path) and value.is_absolute():
            found.add(str(value))
    return frozenset(found)
