"""How the services behind the profile are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from yarl import URL

from iiif_server_mss.web import QUICK, Session

SECONDS: Final = 5.0
"""For each service."""

_LONGEST: Final = 65_536


class _Silent(Exception):
    """A service does not answer."""


async def measured(question: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """What a service says of itself, with the seconds it took; or that it can't be reached.

    Why is told by the error's kind alone: a status page has many readers.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(SECONDS):
            answer = await question()
    except TimeoutError:
        return {"status": "unreachable", "error": "TimeoutError"}
    except Exception as error:  # noqa: BLE001 - whatever it is, the others' status is still to be told
        return {"status": "unreachable", "error": type(error.__cause__ or error).__name__}
    return {**answer, "response_time": round(time.monotonic() - began, 4)}


async def read_status(session: Session, url: str) -> dict[str, Any]:
    """What a status page says: its JSON object, or whether it answers."""
    async with session.get(URL(url), _Silent, timeout=QUICK) as response:
        if response.status >= 400:
            return {"status": "error", "code": response.status}
        body = await response.content.read(_LONGEST)
    try:
        answer = json.loads(body, parse_constant=str)
    except ValueError:
        return {"status": "ok"}
    return {"status": "ok", **answer} if isinstance(answer, dict) else {"status": "ok"}
