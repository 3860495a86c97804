"""Names: those of no image, and those that mean harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

from iiif_server.api import IIIFServerError, ImageNotFound
from iiif_server.testing.contract.base import ContractBase, LiveProfile, look_ups, outcome, secrets
from iiif_server.testing.images import KnownImage
from iiif_server.testing.profiles import ProfileSetup

_UP = "../"
_ENOUGH = 40
"""Steps up from anywhere to the root."""


class NamesContract(ContractBase):
    """What a name may do."""

    async def test_an_unknown_name_is_not_found(
        self, live: LiveProfile, known_image: KnownImage, unknown_name: str
    ) -> None:
        """Every method that looks an image up raises `ImageNotFound` if there is none of this name."""
        info = await live.get_info(known_image.name)
        for method, call in look_ups(live, unknown_name, info).items():
            result = await outcome(call)

            assert isinstance(result, ImageNotFound), f"{method}({unknown_name!r}) is not ImageNotFound"

    async def test_hostile_names_reach_nothing(
        self, live: LiveProfile, known_image: KnownImage, bait: Path
    ) -> None:
        """No name leads out of the store, and none raises anything but an `IIIFServerError`."""
        info = await live.get_info(known_image.name)
        for name in hostile_names(known_image.name, bait):
            for method, call in look_ups(live, name, info).items():
                result = await outcome(call)

                assert isinstance(result, IIIFServerError), f"{method}({name[:200]!r}) is no IIIFServerError"

    async def test_errors_tell_no_path(
        self,
        profile: ProfileSetup,
        live: LiveProfile,
        known_image: KnownImage,
        unknown_name: str,
        bait: Path,
    ) -> None:
        """The public text of an error holds no path of this machine."""
        hidden = await asyncio.to_thread(secrets, profile, bait)
        for name in (unknown_name, *hostile_names(known_image.name, bait)):
            for method, call in look_ups(live, name).items():
                result = await outcome(call)
                public = result.public if isinstance(result, IIIFServerError) else ""
                told = [secret for secret in hidden if secret in public.replace(name, "")]

                assert told == [], f"the public text of {method}({name[:200]!r})"


def hostile_names(known: str, bait: Path) -> tuple[str, ...]:
    """Names of no image.

    Args:
        known: the name of an image, to begin with.
        bait: an image outside of the store.
    """
    absolute = str(bait)
    out = _UP * _ENOUGH + absolute.lstrip("/")
    return (
        *("", " ", ".", "..", "/", "//", "../", "~", "~root", "*", "?", "%", "%00", "$HOME", "`id`"),
        *(absolute, f"/{absolute}", f"file://{absolute}", f"{known}/{absolute}"),
        *(out, f"{known}/{out}", f"x/{out}", f"{_UP}{bait.parent.name}/{bait.name}"),
        *(out.replace("/", "%2F"), out.replace("..", "%2e%2e"), out.replace("/", "\\")),
        *("a/../../etc/passwd", "/etc/passwd", "/proc/self/environ", "C:\\Windows\\win.ini"),
        *(
            f"{known}\0",
            f"{known}\0.png",
            f"{known}\n",
            f"\n{known}",
            f"{known}\r\nX-Header: 1",
            "\x7f\x1b[2J",
        ),
        *("x" * 4096, "é" * 2048, "a/" * 2048, _UP * 1365),
        *(
            "\udcff",
            "\ud800x",
            "e\u0301\u202e\u2028",
            "\ufeff",
            "\U0001f600" * 64,
            "'; DROP TABLE images; --",
        ),
    )
