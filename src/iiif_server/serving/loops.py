"""Which event loop server processes use."""

from __future__ import annotations

import asyncio
import sys


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The faster loop of the extra ``uvloop`` where that is installed, else asyncio's own."""
    if sys.platform == "win32":
        return None
    try:
        from uvloop import Loop
    except ImportError:
        return None
    loop: type[asyncio.AbstractEventLoop] = Loop
    return loop
