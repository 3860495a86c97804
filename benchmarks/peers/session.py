"""What a real viewer asked for, by `benchmarks.peers.record`, and how long a server keeps it waiting."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.load import Answer, Client
from benchmarks.peers.requests import Request

FILE = Path(__file__).with_name("session.json")
INFO = "info.json"
CONNECTIONS = 6
"""What browsers open to one server (HTTP/1.1)."""


@dataclass(frozen=True)
class Step:
    """One thing that a person did in the viewer.

    Attributes:
        action: in words.
        requests: that followed, in order.
    """

    action: str
    requests: tuple[Request, ...]


def read_session(tile: int, file: Path = FILE) -> list[Step]:
    """The session that was recorded with tiles of this size, in pixels."""
    return steps_of(json.loads(file.read_text()), tile)


def steps_of(recorded: dict[str, Any], tile: int) -> list[Step]:
    """The recording's steps: the viewer waits for info.json, and within a step for nothing else."""
    found = []
    for step in recorded["sessions"][str(tile)]:
        paths = [path for burst in step["bursts"] for path in burst["paths"]]
        if paths[0] == INFO:
            found.append(Step(f"read {INFO}", (Request(paths.pop(0)),)))
        found.append(Step(step["action"], tuple(map(as_request, paths))))
    return found


def as_request(path: str) -> Request:
    """A path with the size that it asks for, where that is told by two numbers."""
    parts = path.split("/")
    size = parts[1].split(",") if len(parts) == 4 else []
    if len(size) == 2 and all(side.isdigit() for side in size):
        return Request(path, int(size[0]), int(size[1]))
    return Request(path)


def play(port: int, base: str, steps: list[Step], seconds: float) -> tuple[dict[str, float], list[Answer]]:
    """Ask as the viewer did, each step as soon as the one before is complete, without a person's pauses.

    Args:
        port: of the server.
        base: what paths begin with.
        steps: of the session.
        seconds: after which no further request is begun.

    Returns:
        Milliseconds to the first tile, to the first complete view (if it was) and to the end; all answers.
    """
    begun, answers = time.perf_counter(), list[Answer]()
    figures: dict[str, float] = {}
    with Client(port, base, CONNECTIONS) as client:
        for step in steps:
            offset = time.perf_counter() - begun
            found = client.ask(step.requests, max(0.0, seconds - offset))
            answers += found
            tiles = [answer.ended for answer in found if answer.status == 200 and answer.request.width]
            if tiles and "first tile, ms" not in figures:
                figures["first tile, ms"] = (offset + min(tiles)) * 1000
                if len(found) == len(step.requests):
                    figures["first view, ms"] = (time.perf_counter() - begun) * 1000
    figures["end, ms"] = (time.perf_counter() - begun) * 1000
    return figures, answers
