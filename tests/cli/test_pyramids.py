"""The command as its user runs it: real processes, real files."""

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.imaging.helpers import picture

pytestmark = pytest.mark.e2e

CONFIG = """
source_path: source
cache_path: cache
pyramids: {policy}
pyramid_min_pixels: 100000
pyramid_cache_size: {size}
profiles:
  herbarium: {{type: disk, rights: x, path: images}}
  letters: {{type: disk, rights: x, path: letters, pyramids: never}}
"""


class House:
    """A configured directory, and the command in it."""

    def __init__(self, directory: Path, policy: str = "ahead", size: str = "64 MiB") -> None:
        self.directory = directory
        for name in ("images", "letters"):
            (directory / name).mkdir(exist_ok=True)
        self.config = directory / "config.yaml"
        self.config.write_text(CONFIG.format(policy=policy, size=size))

    def picture(self, name: str, *size: int) -> Path:
        path = self.directory / "images" / name
        path.parent.mkdir(exist_ok=True)
        picture(*(size or (900, 700))).save(path, quality=90)
        return path

    def pictures(self, count: int) -> None:
        """Some that take a while each."""
        first = self.picture("0.jpg", 2000, 1500)
        for number in range(1, count):
            shutil.copyfile(first, first.with_name(f"{number}.jpg"))

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "iiif_server",
            "pyramids",
            arguments[0],
            "--config",
            str(self.config),
            *arguments[1:],
        ]

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, status: int = 0):
        return json.loads(self.run(*arguments, "--json", status=status).stdout)

    def files(self, suffix: str) -> list[Path]:
        return sorted(self.directory.glob(f"cache/pyramids/??/*{suffix}"))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_build_list_check_purge(house):
    house.picture("a.jpg")
    house.picture("b/c d.png")
    house.picture("small.jpg", 300, 200)
    (house.directory / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")

    first = house.run("build", "--jobs", "2", status=1)
    assert first.stdout.startswith("2 built (1.3 megapixels in ")
    assert first.stdout.endswith(" s), 0 there already, 1 left out, 1 failed\n")
    assert first.stderr.startswith("failed: herbarium:broken.jpg: ")
    assert "\r" not in first.stderr  # no progress bar where nobody looks
    (house.directory / "images" / "broken.jpg").unlink()

    again = house.json("build")
    assert {key: again[key] for key in ("built", "there", "left_out", "failed", "removed")} == {
        "built": 0,
        "there": 2,
        "left_out": 1,
        "failed": 0,
        "removed": 0,
    }
    found = house.json("list")
    assert sorted(each["identifier"] for each in found) == [
        "herbarium:a.jpg",
        "herbarium:b%2Fc%20d.png",
    ]
    assert sorted(each["bytes"] for each in found) == sorted(
        path.stat().st_size for path in house.files("source")
    )
    assert house.run("check").stdout == "2 current, 0 outdated, 0 damaged\n"


def test_what_is_outdated_or_damaged_is_told_and_removed(house):
    house.picture("a.jpg")
    house.picture("b.jpg", 700, 900)
    assert house.json("build", "--jobs", "1")["built"] == 2
    a, b = (each["bytes"] for each in sorted(house.json("list"), key=lambda each: each["identifier"]))
    assert a != b
    house.picture("a.jpg", 800, 700)
    assert house.run("check").stdout == "outdated: herbarium:a.jpg\n1 current, 1 outdated, 0 damaged\n"
    (damaged,) = (path for path in house.files("source") if path.stat().st_size == b)
    with damaged.open("r+b") as file:
        file.seek(16)
        file.write(b"\0\0")

    assert sorted(each["state"] for each in house.json("check", status=1)) == ["damaged", "outdated"]
    assert house.json("purge", "--outdated")["removed"] == 2
    assert house.json("build", "--jobs", "1", "herbarium:b.jpg")["built"] == 1
    assert house.json("purge", "herbarium:a.jpg") == {"removed": 0, "bytes": 0}
    assert house.json("purge")["removed"] == 1
    assert house.run("list").stdout == ""


def test_a_build_that_was_killed_goes_on_where_it_was(house):
    house.pictures(6)
    process = subprocess.Popen(
        house.command("build", "--jobs", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        deadline = time.monotonic() + 60
        while not house.files("json"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = len(house.files("json"))

    rest = house.json("build")
    assert 1 <= done < 6
    assert (rest["there"], rest["built"]) == (done, 6 - done)
    assert house.run("check").stdout == "6 current, 0 outdated, 0 damaged\n"
    assert not list(house.directory.glob("cache/pyramids/??/.*"))


@pytest.fixture
def heeded_ctrl_c():
    """A shell has what it runs in the background ignore it, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_ends_it_and_leaves_nothing_half(house):
    house.pictures(6)
    process = subprocess.Popen(
        house.command("build", "--jobs", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        deadline = time.monotonic() + 60
        while not house.files("json"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not list(house.directory.glob("cache/pyramids/??/.*"))


def test_a_terminal_sees_the_progress(house):
    house.picture("a.jpg")
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    try:
        subprocess.run(
            house.command("build"), stderr=other, stdout=subprocess.DEVNULL, timeout=100, check=True
        )
        os.close(other)
        other = -1
        seen = b""
        try:
            while chunk := os.read(main, 4096):
                seen += chunk
        except OSError:  # the other side was closed
            pass
    finally:
        os.close(main)
        if other >= 0:
            os.close(other)
    assert b"1/1" in seen
    assert b"Mpx/s" in seen


def test_a_budget_that_is_too_small_is_told(tmp_path):
    house = House(tmp_path, size="4.5 MiB")
    first = house.picture("0.jpg")
    for number in range(1, 16):
        shutil.copyfile(first, first.with_name(f"{number}.jpg"))
    done = house.run("build", "--jobs", "1", status=1)

    assert done.stdout.startswith("16 built")
    assert done.stderr.endswith(" others were removed to make room: raise pyramid_cache_size\n")
    assert sum(path.stat().st_size for path in house.files("source")) < 4.5 * 1024**2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build", "--profile", "nobody"], "nobody"),
        (["build", "--profile", "letters"], "pyramids: never"),
    ],
)
def test_a_mistake_is_explained(house, arguments, told):
    done = house.run(*arguments, status=1)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_two_builds_at_once_build_each_one_once(house):
    for number in range(4):
        house.picture(f"{number}.jpg", 1500, 1000)
    both = [
        subprocess.Popen(house.command("build", "--jobs", "2", "--json"), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = []
    for process in both:
        out, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        told.append(json.loads(out))
    assert sum(each["built"] for each in told) == 4
    assert sum(each["there"] for each in told) == 4
