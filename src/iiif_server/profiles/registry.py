"""The configured profiles, as living objects."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from iiif_server.errors import ConfigurationError, ProfileNotFound
from iiif_server.profiles.base import Profile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProfileRegistry:
    """Every configured profile by its name, and which one an identifier without a profile means."""

    profiles: Mapping[str, Profile[Any]]
    default: str | None = None

    def get(self, name: str) -> Profile[Any]:
        """The profile of this name.

        Raises:
            ProfileNotFound: none is configured under it.
        """
        try:
            return self.profiles[name]
        except KeyError:
            raise ProfileNotFound("There is no such profile.", log=f"no profile {name!r}") from None

    def __iter__(self) -> Iterator[Profile[Any]]:
        return iter(self.profiles.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open every profile, and close them in reverse; one that fails to close does not keep others open.

        Raises:
            ConfigurationError: one can't be opened. Those that were are closed.
        """
        async with AsyncExitStack() as stack:
            for profile in self:
                await _open(profile)
                stack.push_async_callback(_close, profile)
            yield


async def _open(profile: Profile[Any]) -> None:
    try:
        await profile.open()
    except Exception as error:
        name = profile.context.name
        raise ConfigurationError([f"profiles.{name}: the profile can't start: {error!r}"]) from error


async def _close(profile: Profile[Any]) -> None:
    try:
        await profile.close()
    except Exception:
        logger.exception("closing the profile %r failed", profile.context.name)
