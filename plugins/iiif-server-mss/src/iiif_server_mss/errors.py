"""What goes wrong at the services behind the profile, and how often."""

from __future__ import annotations

from typing import Final

from iiif_server.api import IIIFServerError, ImageNotFound

STAGES: Final = ("mss_direct", "mss_indirect", "dams", "mss_access", "es")
"""Where something may go wrong: the file, its address in the DAMS, the file there; access; the catalogue."""

RETRY_AFTER: Final = 5
"""Seconds."""


class ServiceUnavailable(IIIFServerError):
    """A service behind the profile does not answer as it should."""

    status = 503


class Complaints:
    """Makes the errors of one profile, and counts them by stage."""

    def __init__(self) -> None:
        self.by_stage = dict.fromkeys(STAGES, 0)

    def unavailable(self, stage: str, name: str, log: str) -> ServiceUnavailable:
        """The answer to a request for an image whose data can't be had at the moment."""
        self.by_stage[stage] += 1
        return ServiceUnavailable(
            f"Failed to retrieve the requested image data for {name}",
            log=f"{name!r}, {stage}: {log}",
            retry_after=RETRY_AFTER,
        )


def not_found(name: str, log: str) -> ImageNotFound:
    """The answer to a request for an image that is not there, or may not be shown."""
    return ImageNotFound(log=f"{name!r}: {log}")
