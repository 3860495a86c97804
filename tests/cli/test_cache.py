"""``iiif-server cache``, on the caches of a server that runs."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiif_server.caches.keys import owner_of
from iiif_server.caches.owned import MARKER
from tests.caches.helpers import key_of
from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, serve_command

CONFIG = """\
cache_path: cache
memory_cache_size: 0
image_pool_size: 1
profiles:
  files:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: pictures
  others:
    type: disk
    rights: http://creativecommons.org/publicdomain/mark/1.0/
    path: pictures
"""
NAME = "below/ü 100%.png"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "iiif_server", "cache", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "below").mkdir(parents=True)
    drawn_picture(300, 200).save(tmp_path / "pictures" / "one.jpg")
    drawn_picture(300, 200).save(tmp_path / "pictures" / NAME)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def entries(config: Path) -> list[Path]:
    return sorted((config.parent / "cache" / "derivatives").glob("??/*.iiif"))


def filled(config: Path, *owners: tuple[str, str]) -> None:
    """Put an entry for each of these images into the cache, without a server."""
    directory = config.parent / "cache" / "derivatives"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARKER).touch()
    for profile, name in owners:
        key = key_of((profile, name))[:40] + owner_of(profile, name)
        (directory / key[:2]).mkdir(exist_ok=True)
        (directory / key[:2] / f"{key}.iiif").write_bytes(bytes(100))


@pytest.mark.e2e
def test_while_a_server_runs(server: ServerFactory, config: Path) -> None:
    """One image is purged, the server makes it again, and the others stay."""
    serving = server.command(serve_command("--config", str(config)))

    def ask(name: str, width: int, profile: str) -> bytes:
        url = serving.image_url(name, f"full/{width},/0/default.jpg", profile=profile)
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    everything = [
        (name, width, profile)
        for name in ("one.jpg", NAME)
        for width in (50, 60)
        for profile in ("files", "others")
    ]
    before = [ask(*one) for one in everything]
    for _ in range(100):  # derivatives are written in the background
        stats = json.loads(run("stats", "--config", config, "--json").stdout)["derivatives"]
        if stats["entries"] == 8:
            break

    assert {name: found["entries"] for name, found in stats["profiles"].items()} == {"files": 4, "others": 4}
    assert stats["bytes"] == sum(-(-path.stat().st_size // 4096) * 4096 for path in entries(config))
    assert stats["max_bytes"] == 10 << 30
    assert stats["oldest_use"] <= stats["newest_use"]

    arguments = ("purge", "--config", config, "--identifier", f"files:{NAME}")
    would = run(*arguments, "--dry-run")
    assert would.stdout.startswith("derivatives: would remove 2 entries, 8 KiB\n")
    assert len(entries(config)) == 8
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == would.stdout.replace("would remove", "removed")
    assert len(entries(config)) == 6

    assert run("purge", "--config", config, "--profile", "others").stdout.startswith(
        "derivatives: removed 4 "
    )
    assert [ask(*one) for one in everything] == before
    assert run("purge", "--config", config, "--all").returncode == 0
    assert [ask(*one) for one in everything] == before
    assert "Traceback" not in serving.output()
    assert "WARNING" not in serving.output()


def test_the_caches_of_a_directory(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`iiif-server serve DIR` has caches of its own, which `cache stats DIR` finds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    answer = run("stats", tmp_path / "pictures")

    assert answer.returncode == 0
    assert answer.stdout.splitlines()[0].startswith(f"derivatives, in {tmp_path / 'xdg'}")
    assert "0 entries, 0 bytes of 10 GiB" in answer.stdout
    assert not (tmp_path / "xdg").exists()


def test_stats_in_words(config: Path) -> None:
    filled(config, ("files", "a"), ("files", "b"), ("removed", "c"))
    lines = run("stats", "--config", config).stdout.splitlines()

    assert "3 entries, 12 KiB of 10 GiB, last used between 20" in lines[0]
    assert lines[1].startswith("  files: 2 entries, 8 KiB, last used between ")
    assert lines[2] == "  others: 0 entries, 0 bytes"
    assert lines[3].startswith("  profiles that are not configured: 1 entry, 4 KiB")


def test_a_profile_that_is_no_longer_configured_can_be_purged(config: Path) -> None:
    """The note is for those who mistyped the name."""
    filled(config, ("files", "a"), ("removed", "c"))
    answer = run("purge", "--config", config, "--profile", "removed")

    assert answer.returncode == 0
    assert answer.stdout.startswith("derivatives: removed 1 entry")
    assert answer.stderr == "Note: no profile 'removed' is configured, only files, others.\n"
    assert len(entries(config)) == 1


def test_an_identifier_without_a_profile_is_of_the_default_one(config: Path) -> None:
    """If there is one."""
    filled(config, ("files", "a"), ("others", "a"))
    arguments = ("purge", "--config", config, "--identifier", "a")
    refused = run(*arguments)

    assert (refused.returncode, len(entries(config))) == (1, 2)
    assert refused.stderr == "'a': want PROFILE:NAME, as there is no default_profile\n"

    config.write_text(CONFIG + "default_profile: others\n")
    assert run(*arguments).stdout.startswith("derivatives: removed 1 entry, ")
    assert entries(config)[0].stem.endswith(owner_of("files", "a"))


def test_older_than_counts_from_now_and_narrows_the_rest(config: Path) -> None:
    filled(config, ("files", "a"), ("files", "b"), ("others", "c"))
    for path in entries(config):
        os.utime(path, (path.stat().st_mtime - 3 * 3600,) * 2)

    def removed(*arguments: str) -> str:
        return run("purge", "--config", config, "--dry-run", *arguments).stdout.split(",")[0]

    assert removed("--older-than", "4h").endswith("would remove 0 entries")
    assert removed("--older-than", "2h").endswith("would remove 3 entries")
    assert removed("--older-than", "100m", "--profile", "files").endswith("would remove 2 entries")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--dry-run"],
        ["--all", "--profile", "files"],
        ["--all", "--older-than", "30d"],
        ["--older-than", "30"],
        ["--older-than", "٣d"],
        ["--older-than", "-1d"],
        ["--older-than", "1y"],
    ],
)
def test_wrong_use_removes_nothing(config: Path, arguments: list[str]) -> None:
    filled(config, ("files", "a"))
    answer = run("purge", "--config", config, *arguments)

    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "error: " in answer.stderr.splitlines()[-1]
    assert len(entries(config)) == 1


@pytest.mark.parametrize("arguments", [["stats"], ["stats", ".", "--config", "x"], ["purge", "--all"]])
def test_it_has_to_be_said_whose_caches(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


@pytest.mark.parametrize("command", [["stats"], ["purge", "--all"]])
def test_a_directory_that_is_no_cache_is_left_alone(config: Path, command: list[str]) -> None:
    precious = config.parent / "cache" / "derivatives" / "original.tif"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"the only copy")
    answer = run(*command, "--config", config)

    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert f"has files in it but no {MARKER}" in answer.stderr
    assert precious.read_bytes() == b"the only copy"


def test_a_file_in_the_place_of_a_cache_is_explained(config: Path) -> None:
    (config.parent / "cache").mkdir()
    (config.parent / "cache" / "derivatives").touch()
    answer = run("purge", "--config", config, "--all")

    assert answer.returncode == 1
    assert answer.stderr == f"{config.parent}/cache/derivatives: Not a directory\n"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end and theirs of a terminal with 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(ours, False)
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_a_bar_is_shown_on_a_terminal_only(config: Path, terminal: tuple[int, int]) -> None:
    """And only if the work takes longer than a moment, which a clock of our own makes it do."""
    filled(config, ("files", "a"))
    clock = "import itertools, tqdm.std; tqdm.std.time = itertools.count(0, 0.004).__next__"
    code = f"import sys; {clock}; from iiif_server.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "cache", "stats", "--config", str(config)]
    ours, theirs = terminal
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True).stdout
    piped = subprocess.run(command, capture_output=True, timeout=60, check=True)

    assert re.search(r"looking at derivatives: +\d+% \|.*\| \S+ left", os.read(ours, 1 << 16).decode())
    assert (piped.stderr, piped.stdout) == (b"", told)
