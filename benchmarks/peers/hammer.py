"""Ask for a few things again and again, as fast as answers come."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers.load import TIMEOUT, Client
from benchmarks.peers.requests import Request

WRK = shutil.which("wrk")


def hammered(port: int, paths: Sequence[str], clients: int, seconds: float) -> tuple[float, float]:
    """Ask for a few things again and again; answers per second, and their mean bytes.

    By ``wrk`` where it is installed, since it takes least of the machine, else by `Client`.
    """
    if WRK is None:
        return _own_hammer(port, paths, clients, seconds)
    script = Path(__file__).with_name("hammer.lua").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(f"local paths = {{ {', '.join(map(json.dumps, paths))} }}\n{script}")
        file.flush()
        command = [WRK, "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "20s", "-s", file.name]
        output = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + TIMEOUT,
        ).stdout
    found = json.loads(output[output.index("JSON") + 4 :])
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} of {found['requests']} answers are wrong")
    return found["requests"] / found["seconds"], found["bytes"] / max(found["requests"], 1)


def _own_hammer(port: int, paths: Sequence[str], clients: int, seconds: float) -> tuple[float, float]:
    def again() -> Iterator[Request]:
        while True:
            yield from (Request(path) for path in paths)

    with Client(port, "", clients) as client:
        answers = client.ask(again(), seconds, keep_every=1 << 30)
    if wrong := [answer for answer in answers if answer.status != 200]:
        raise RuntimeError(f"{len(wrong)} of {len(answers)} answers are wrong")
    took = max(answer.ended for answer in answers)
    return len(answers) / took, sum(answer.size for answer in answers) / len(answers)
