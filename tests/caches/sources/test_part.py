"""The file of one fetch, which moves elsewhere when there is no room for it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiif_server.caches.sources.overflow import Overflow
from iiif_server.caches.sources.part import Part
from iiif_server.caches.sources.records import Fetched, key_digest
from iiif_server.errors import ServerBusy, UnreadableSource
from tests.caches.sources.helpers import bytes_on_disk, leftovers, whole_files
from tests.caches.sources.test_room import Files

MIB = 1 << 20


class Parts:
    """Makes parts, and hears their complaints."""

    def __init__(self, directory: Path, overflow: Path) -> None:
        self.files = Files(directory, MIB)
        self.overflow = Overflow(overflow)
        self.complaints: list[Exception | str] = []
        self.made: list[Part] = []

    def __call__(self, key: str = "key", *, has_store: bool = True) -> Part:
        digest = key_digest(key)
        fd = self.files.keeper.begin(digest) if has_store else None
        part = Part(self.files.keeper, self.overflow, fd, digest, self.complaints.append)
        self.made.append(part)
        return part


@pytest.fixture
def parts(directory: Path, overflow: Path) -> Iterator[Parts]:
    made = Parts(directory, overflow)
    yield made
    for part in made.made:
        part.abandon()
    assert leftovers(directory) == []


def test_what_fits_is_published_in_the_store(parts: Parts, directory: Path, overflow: Path) -> None:
    part = parts()
    part.append(b"one")
    part.append(bytearray(b"two"))
    loan = part.publish("key", Fetched(version="1"), 12.5)
    part.abandon()
    assert (loan.stored.path.read_bytes(), loan.stored.size, loan.stored.checked) == (b"onetwo", 6, 12.5)
    assert whole_files(directory) == [loan.stored.path]
    assert list(overflow.iterdir()) == []
    loan.close()
    assert parts.complaints == []


@pytest.mark.parametrize("is_expected", [True, False])
def test_what_does_not_fit_is_lent_from_elsewhere_and_goes_with_the_loan(
    parts: Parts, directory: Path, overflow: Path, is_expected: bool
) -> None:
    part = parts()
    body = os.urandom(700_000)
    if is_expected:
        part.expect(len(body))
    for start in range(0, len(body), 100_000):
        part.append(body[start : start + 100_000])
    assert bytes_on_disk(directory) == 0
    loan = part.publish("key", Fetched(), 0)
    part.abandon()
    assert loan.stored.path.read_bytes() == body
    assert list(overflow.iterdir()) == [loan.stored.path]
    assert loan.stored.path.stat().st_mode & 0o777 == 0o600
    assert whole_files(directory) == leftovers(directory) == []
    assert len(parts.complaints) == 1
    loan.close()
    loan.close()
    assert list(overflow.iterdir()) == []


def test_the_right_to_fetch_is_kept_when_the_bytes_go_elsewhere(parts: Parts) -> None:
    part = parts()
    part.append(bytes(300_000))
    part.append(bytes(300_000))
    assert parts.files.keeper.begin(key_digest("key")) is None
    part.abandon()
    fd = parts.files.keeper.begin(key_digest("key"))
    assert fd is not None
    parts.files.keeper.abandon(fd, key_digest("key"))


def test_without_a_store_there_is_the_overflow(parts: Parts, overflow: Path) -> None:
    part = parts(has_store=False)
    part.append(b"body")
    loan = part.publish("key", Fetched(), 0)
    assert loan.stored.path.parent == overflow
    assert loan.stored.path.read_bytes() == b"body"
    loan.close()


def test_the_same_bytes_have_the_same_version_wherever_they_are(parts: Parts) -> None:
    body = os.urandom(400_000)
    versions = set()
    for key, has_store in (("one", True), ("other", False)):
        part = parts(key, has_store=has_store)
        part.append(body)
        loan = part.publish(key, Fetched(), 0)
        versions.add(loan.stored.version)
        loan.close()
    assert len(versions) == 1


def test_nothing_is_published_of_nothing(parts: Parts) -> None:
    with pytest.raises(UnreadableSource):
        parts().publish("key", Fetched(), 0)


def test_after_the_end_nothing_is_done(parts: Parts, directory: Path) -> None:
    part = parts()
    part.append(b"body")
    part.abandon()
    part.abandon()
    for use in (
        lambda: part.append(b"more"),
        lambda: part.expect(9),
        lambda: part.publish("k", Fetched(), 0),
    ):
        with pytest.raises(RuntimeError, match="over"):
            use()
    assert whole_files(directory) == leftovers(directory) == []


def test_giving_up_waits_for_the_write_that_is_under_way(
    parts: Parts, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = parts()
    started, go_on = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def slow(fd: int, data: bytes, position: int) -> int:
        if "part" in os.readlink(f"/proc/self/fd/{fd}"):
            started.set()
            go_on.wait()
        return pwrite(fd, data, position)

    monkeypatch.setattr(os, "pwrite", slow)
    writing = threading.Thread(target=part.append, args=(b"body",))
    ending = threading.Thread(target=part.abandon)
    writing.start()
    started.wait()
    ending.start()
    ending.join(0.05)
    assert ending.is_alive()
    assert len(leftovers(directory)) == 1
    go_on.set()
    writing.join()
    ending.join()
    assert leftovers(directory) == []


def test_another_process_may_write_the_file(parts: Parts, directory: Path) -> None:
    part = parts()
    path = part.hand_over(100_000)
    assert path.stat().st_size == 100_000  # room for all of it is counted
    with path.open("r+b") as file:
        file.write(b"written elsewhere")
    part.take_back(17)
    loan = part.publish("key", Fetched(version="1"), 1.0)
    assert loan.stored.path.read_bytes() == b"written elsewhere"
    assert whole_files(directory) == [loan.stored.path]
    loan.close()


def test_a_file_that_was_handed_over_loses_its_name_with_the_fetch(parts: Parts) -> None:
    part = parts()
    path = part.hand_over(1000)
    with path.open("r+b") as file:
        part.abandon()
        assert os.fstat(file.fileno()).st_nlink == 0


@pytest.mark.parametrize("has_store", [True, False])
def test_no_file_is_handed_over_that_the_store_has_no_room_for(parts: Parts, has_store: bool) -> None:
    part = parts(has_store=has_store)
    with pytest.raises(ServerBusy):
        part.hand_over(MIB if has_store else 10)
    with pytest.raises(RuntimeError):
        part.take_back(1)


@pytest.mark.parametrize("size", [0, 1001])
def test_what_was_written_is_something_and_fits(parts: Parts, size: int) -> None:
    part = parts()
    part.hand_over(1000)
    with pytest.raises(RuntimeError):
        part.take_back(size)


def test_a_file_is_written_here_or_elsewhere(parts: Parts) -> None:
    part = parts()
    part.append(b"here")
    with pytest.raises(RuntimeError):
        part.hand_over(1000)
