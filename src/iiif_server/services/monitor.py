"""How the server is: what its parts count, and whether it can take requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iiif_server.telemetry.sampled import Statistics


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests should come here.

    Attributes:
        reasons: why not; empty if they should.
        warnings: what costs speed only.
    """

    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether there is no reason against."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """As a probe reads it."""
        status = "ready" if self.is_ready else "not ready"
        return {"status": status, "reasons": list(self.reasons), "warnings": list(self.warnings)}


class Monitor:
    """Reads off what the parts of the server count; asks nobody outside, and never a disk.

    Args:
        parts: gives each part's statistics, by the part's name.
        cache: gives those of the tiers of the derivative cache.
    """

    def __init__(
        self,
        parts: Mapping[str, Callable[[], Mapping[str, float]]],
        cache: Callable[[], Mapping[str, Mapping[str, float]]],
    ) -> None:
        self._parts = parts
        self._cache = cache
        self._is_stopping = False

    def stop(self) -> None:
        """From now on, the server is not ready: it is shutting down."""
        self._is_stopping = True

    def statistics(self) -> Statistics:
        """What each part counts at this moment: ``pool``, ``memory``, ``disk``, ``pending``, and so on."""
        tiers = dict(self._cache())
        tiers["disk"] = tiers.pop("store", {})
        return {name: statistics() for name, statistics in self._parts.items()} | tiers

    def readiness(self) -> Readiness:
        """Whether requests should come here."""
        return readiness(self.statistics(), is_stopping=self._is_stopping)


def readiness(statistics: Statistics, *, is_stopping: bool) -> Readiness:
    """Judge by what the parts count."""
    pool, disk = statistics["pool"], statistics["disk"]
    reasons, warnings = [], []
    if is_stopping:
        reasons.append("The server is shutting down.")
    if not pool["ready"]:
        reasons.append("No worker process is alive.")
    elif pool["ready"] < pool["workers"]:
        warnings.append(f"{pool['ready']:.0f} of {pool['workers']:.0f} worker processes are alive.")
    if pool["waiting"] >= pool["capacity"]:
        warnings.append("The queue of image work is full.")
    if disk.get("failing"):
        warnings.append("The disk cache can't be written; the log says why.")
    return Readiness(tuple(reasons), tuple(warnings))
