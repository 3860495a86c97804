"""Factories that workers import in these tests. Like the real one, without asyncio and aiohttp."""

import ctypes
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from iiif_server.errors import IIIFServerError

Result = tuple[dict[str, Any], bytes | memoryview]

_hoard: list[bytearray] = []


def create(argument: object) -> Mapping[str, Callable[[Any], Result]]:
    """Handlers that do, on request, everything a codec might."""
    return {
        "echo": lambda value: ({"value": value, "pid": os.getpid(), "factory_argument": argument}, b""),
        "body": _body,
        "sleep": _sleep,
        "wait_while": _wait_while,
        "raise": _raise,
        "crash": _crash,
        "crash_once": _crash_once,
        "hoard": _hoard_memory,
        "holes": _leave_holes,
        "bomb": _bomb,
        "modules": lambda _: ({"modules": sorted(sys.modules)}, b""),
        "surroundings": _surroundings,
        "random": lambda _: ({"number": random.random()}, b""),
        "nonsense": _nonsense,
        "unjson": lambda _: ({"set": {1, 2}}, b""),
    }


def create_real(argument: object) -> Mapping[str, Callable[[Any], Result]]:
    """The server's own handlers, and one that tells what they imported."""
    workbench = importlib.import_module("iiif_server.imaging.workbench")
    return {**workbench.create(argument), "modules": create(None)["modules"]}


def fail(argument: object) -> Mapping[str, Callable[[Any], Result]]:
    """A factory that can't do what it was asked."""
    raise LookupError(f"no codec for {argument}")


def create_slowly(seconds: float) -> Mapping[str, Callable[[Any], Result]]:
    """A factory that takes its time."""
    time.sleep(seconds)
    return create(None)


def vanish(_: object) -> Mapping[str, Callable[[Any], Result]]:
    """A factory whose native library takes the process down."""
    os._exit(9)


def hang(_: object) -> Mapping[str, Callable[[Any], Result]]:
    """A factory that never comes back."""
    time.sleep(600)
    raise AssertionError


def fail_unless(marker: str) -> Mapping[str, Callable[[Any], Result]]:
    """A factory that works for as long as a file is there."""
    if not Path(marker).exists():
        raise LookupError("the marker is gone")
    return create(None)


def _body(size: int) -> Result:
    return {"pid": os.getpid()}, memoryview(bytes(range(256)) * (size // 256 + 1))[:size]


def _sleep(seconds: float) -> Result:
    time.sleep(seconds)
    return {"pid": os.getpid()}, b""


def _wait_while(marker: str) -> Result:
    """Work until a file is gone, a minute at the most."""
    for _ in range(6000):
        if not Path(marker).exists():
            break
        time.sleep(0.01)
    return {"pid": os.getpid()}, b""


def _raise(error: Exception) -> Result:
    raise error


def _crash(how: str) -> Result:
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError


def _crash_once(marker: str) -> Result:
    path = Path(marker)
    if not path.exists():
        path.write_text("here")
        os._exit(1)
    return {"pid": os.getpid()}, b""


def _leave_holes(size: int) -> Result:
    """Keep little, and let go of so many bytes between it."""
    blocks = []
    for _ in range(size // 50_000):
        blocks.append(os.urandom(50_000))
        _hoard.append(bytearray(1_000))
    blocks.clear()
    return {"pid": os.getpid(), "rss": _resident()}, b""


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _hoard_memory(size: int) -> Result:
    _hoard.append(bytearray(b"x") * size)
    return {"pid": os.getpid()}, b""


def _bomb(size: int) -> Result:
    return {}, bytes(bytearray(b"x") * size)


def _surroundings(_: object) -> Result:
    ignored = [s.name for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is signal.SIG_IGN]
    return {"descriptors": _descriptors(), "ignored": ignored}, b""


def _descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists
            found[entry.name] = str(entry.readlink())
    return found


def _nonsense(_: object) -> Result:
    """What a worker might send after a source has taken it over."""
    server = next(int(n) for n, target in _descriptors().items() if int(n) > 2 and "socket" in target)
    os.write(server, b"\xff" * 12)
    time.sleep(60)
    raise AssertionError


class HomeMade(IIIFServerError):
    """An error with a constructor of its own, as a plugin may write it."""

    status = 418

    def __init__(self, colour: str) -> None:
        super().__init__(f"The teapot is {colour}.", log="kitchen", retry_after=7)

    def __reduce__(self) -> tuple[type["HomeMade"], tuple[str]]:
        return HomeMade, ("red",)
