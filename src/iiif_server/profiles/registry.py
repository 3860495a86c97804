"""The configured profiles, as living objects."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iiif_server.errors import ProfileNotFound
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

    async def close(self) -> None:
        """Close every profile; one that fails does not keep the others open."""
        for profile in self:
            try:
                await profile.close()
            except Exception:
                logger.exception("closing the profile %r failed", profile.context.name)
