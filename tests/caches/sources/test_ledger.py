"""The counts are shared, one process changes them at a time, and what is wrong with the file is no harm."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iiif_server.caches.owned import LEAVES, ForeignDirectory
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.ledger import LEDGER, Counts, Ledger

HOLD = """
import sys, time
from pathlib import Path
from iiif_server.caches.sources.directory import SourceDirectory
from iiif_server.caches.sources.ledger import Ledger
with Ledger(SourceDirectory(Path(sys.argv[1]))).locked() as counts:
    counts.set("07", 1, 1)
    print("held", flush=True)
    time.sleep(1000)
"""


def ledger_of(path: Path, patience: float = 10.0) -> Ledger:
    return Ledger(SourceDirectory(path), patience)


def test_nothing_is_known_at_first_and_then_remembered(tmp_path: Path) -> None:
    with ledger_of(tmp_path).locked() as counts:
        assert counts.unknown() == list(LEAVES)
        assert counts.total_bytes == counts.entries == 0
        counts.set("00", 100, 2)
        counts.set("ff", 20, 1)
    with ledger_of(tmp_path).locked() as counts:
        assert counts.unknown() == list(LEAVES[1:-1])
        counts.add("ff", 5)
        counts.add("00", -10, -1)
        assert (counts.total_bytes, counts.entries) == (115, 2)
    with ledger_of(tmp_path).locked() as counts:
        assert (counts.total_bytes, counts.entries) == (115, 2)
        assert not counts.is_changed


def test_what_was_changed_before_an_error_is_kept(tmp_path: Path) -> None:
    def fail() -> None:
        with ledger_of(tmp_path).locked() as counts:
            counts.set("00", 100, 2)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with ledger_of(tmp_path).locked() as counts:
        assert counts.total_bytes == 100


@pytest.mark.parametrize("data", [b"", b"torn", bytes(4095), bytes(4097)])
def test_a_file_of_another_size_says_nothing(tmp_path: Path, data: bytes) -> None:
    with ledger_of(tmp_path).locked() as counts:
        counts.set("00", 1, 1)
    (tmp_path / LEDGER).write_bytes(data)
    with ledger_of(tmp_path).locked() as counts:
        assert counts.unknown() == list(LEAVES)


def test_counts_fill_one_block() -> None:
    assert len(Counts(b"").to_bytes()) == 4096


def test_threads_take_turns(tmp_path: Path) -> None:
    ledgers = [ledger_of(tmp_path), ledger_of(tmp_path)]
    with ledgers[0].locked() as counts:
        counts.set("00", 0, 0)

    def add(number: int) -> None:
        with ledgers[number % 2].locked() as counts:
            counts.add("00", 1, 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(400)))
    with ledgers[0].locked() as counts:
        assert (counts.total_bytes, counts.entries) == (400, 400)


def test_a_foreign_directory_gets_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "original.tif").touch()
    with pytest.raises(ForeignDirectory), ledger_of(tmp_path).locked():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["original.tif"]


def test_a_link_is_no_ledger(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    with ledger_of(directory).locked():
        pass
    (tmp_path / "treasure").write_bytes(bytes(4096))
    (directory / LEDGER).unlink()
    (directory / LEDGER).symlink_to(tmp_path / "treasure")
    with pytest.raises(OSError, match="symbolic links"), ledger_of(directory).locked():
        pass


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that is stopped while it holds the ledger."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


def test_a_process_that_was_stopped_is_not_waited_for_for_ever(
    tmp_path: Path, stopped: "subprocess.Popen[str]"
) -> None:
    with pytest.raises(TimeoutError), ledger_of(tmp_path, patience=0.05).locked():
        pass
    stopped.kill()
    stopped.wait()
    with ledger_of(tmp_path).locked() as counts:
        assert counts.total_bytes == 0  # it had written nothing yet


def test_a_ledger_that_was_replaced_is_not_believed_to_be_locked(
    tmp_path: Path, stopped: "subprocess.Popen[str]"
) -> None:
    os.unlink(tmp_path / LEDGER)
    with ledger_of(tmp_path, patience=0.05).locked() as counts:
        counts.set("00", 1, 1)
