"""A profile that notes what it is asked."""

import functools
from typing import Any

from tests.testing.sound import SoundProfile

CALLS: list[str] = []
"""The names of the methods that were called since it was cleared."""


def noted(name: str) -> Any:
    method = getattr(SoundProfile, name)

    @functools.wraps(method)
    def call(self, *arguments):
        CALLS.append(name)
        return method(self, *arguments)

    return call


METHODS = (
    *("get_info", "use_source", "resolve_filename", "resolve_original_size", "stream_original"),
    *("use_original", "open"),
    *("list_names", "get_status", "close"),
)

RecordingProfile = type("RecordingProfile", (SoundProfile,), {name: noted(name) for name in METHODS})

StreamingProfile = type("StreamingProfile", (RecordingProfile,), {"use_original": None})
"""The same, lending no originals."""
