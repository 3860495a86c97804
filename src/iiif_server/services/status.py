"""What ``/status`` tells an operator: everything at one glance, without secrets and paths."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from iiif_server import __version__
from iiif_server.caches.single_flight import SingleFlight
from iiif_server.profiles.base import Profile
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.infos import InfoService
from iiif_server.services.monitor import Monitor
from iiif_server.services.usage import Usage, measure

logger = logging.getLogger(__name__)

PROFILE_SECONDS: Final = 5.0
"""For each profile to tell its status; all are asked at once."""

USAGE_SECONDS: Final = 5.0
"""For counting the files of all profiles together."""


class StatusService:
    """Puts the status together.

    Args:
        profiles: the configured profiles.
        types: the type of each, by its name.
        infos: what is known of the images.
        monitor: what the parts of the server count.
        seconds: for each profile to tell its status.
    """

    def __init__(
        self,
        profiles: ProfileRegistry,
        types: Mapping[str, str],
        infos: InfoService,
        monitor: Monitor,
        *,
        seconds: float = PROFILE_SECONDS,
    ) -> None:
        self._profiles = profiles
        self._types = types
        self._infos = infos
        self._monitor = monitor
        self._seconds = seconds
        self._began = time.monotonic()
        self._asking: SingleFlight[Mapping[str, Any]] = SingleFlight()
        self._measuring: asyncio.Task[Mapping[Path, Usage]] | None = None
        self._closing = threading.Event()

    async def status(self, *, full: bool = False) -> dict[str, Any]:
        """The status as a JSON object; ``full`` counts the files of each profile as well.

        However many ask, each profile is asked once at a time, and files are counted once at a time.
        """
        profiles = list(self._profiles)
        asking = asyncio.gather(*(self._ask(profile) for profile in profiles))
        told, usage = await asyncio.gather(asking, self._usage(wanted=full))
        statistics = self._monitor.statistics()
        return {
            "status": ":)",
            "version": __version__,
            "uptime": round(time.monotonic() - self._began, 1),
            "default_profile": self._profiles.default,
            "processing": statistics["pool"],
            "caches": {name: statistics[name] for name in ("memory", "disk", "pending")},
            "profiles": {
                profile.context.name: status | self._facts(profile, usage)
                for profile, status in zip(profiles, told, strict=True)
            },
        }

    async def close(self) -> None:
        """End the counting of files, if that goes on."""
        self._closing.set()
        if self._measuring is not None:
            await asyncio.wait((self._measuring,), timeout=USAGE_SECONDS)

    def _facts(self, profile: Profile[Any], usage: Mapping[Path, Usage] | None) -> dict[str, Any]:
        name = profile.context.name
        facts: dict[str, Any] = {
            "name": name,
            "type": self._types[name],
            "info_json_cache_size": self._infos.remembered(name),
        }
        if usage is not None:
            for what, path in (("sources", profile.source_directory), ("cache", profile.context.cache_path)):
                found = usage.get(path)
                facts[what] = {"error": "The disk does not answer."} if found is None else found.to_json()
        return facts

    async def _ask(self, profile: Profile[Any]) -> dict[str, Any]:
        return dict(await self._asking.run(profile.context.name, lambda: self._told(profile)))

    async def _told(self, profile: Profile[Any]) -> Mapping[str, Any]:
        """What a profile says of itself, or that it fails or is late: the others are still to be told of."""
        task = asyncio.create_task(_status_of(profile), name=f"status of {profile.context.name}")
        try:
            # Not asyncio.timeout(), which would wait for a profile that does not let itself be cancelled.
            await asyncio.wait((task,), timeout=self._seconds)
        finally:
            if not task.done():
                task.add_done_callback(lambda late: late.cancelled() or late.exception())
                task.cancel()
        if not task.done() or task.cancelled():
            return {"error": f"The profile did not tell its status within {self._seconds:g} seconds."}
        if (error := task.exception()) is not None:
            logger.error("the profile %r failed to tell its status", profile.context.name, exc_info=error)
            return {"error": "The profile failed to tell its status; the log says why."}
        return task.result()

    async def _usage(self, *, wanted: bool) -> Mapping[Path, Usage] | None:
        """What the files of all profiles take; a walk that is under way goes on for whoever asks next."""
        if not wanted:
            return None
        if self._measuring is None or self._measuring.done():
            directories = dict.fromkeys(
                path
                for profile in self._profiles
                for path in (profile.source_directory, profile.context.cache_path)
            )
            walk = asyncio.to_thread(
                measure, list(directories), USAGE_SECONDS, is_unwanted=self._closing.is_set
            )
            self._measuring = asyncio.create_task(walk, name="disk usage")
        await asyncio.wait((self._measuring,), timeout=USAGE_SECONDS + 1)
        return self._measuring.result() if self._measuring.done() else {}


async def _status_of(profile: Profile[Any]) -> Mapping[str, Any]:
    status = dict(await profile.get_status())
    json.dumps(status, allow_nan=False)  # what JSON can't say is this profile's mistake, and no other's
    return status
