"""What is in a leaf is told by name and kind, and what is not the store's own is not seen."""

import os
from pathlib import Path

import pytest

from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.sources.directory import Entry, SourceDirectory
from iiif_server.caches.sources.ledger import LEDGER
from iiif_server.caches.sources.records import DamagedRecord, SourceRecord, encode, key_digest

DIGEST = key_digest("key")
SERIAL, OTHER = "0" * 16, "f" * 16
FOREIGN = [
    "notes.txt",
    f"{DIGEST}.source",
    f"{DIGEST}.{SERIAL}.json",
    f".{DIGEST}.{SERIAL}.source",
    f"{DIGEST}.part",
    f".{DIGEST}.json",
    f"{DIGEST.upper()}.json",
    f"{DIGEST}.json\n",
    f"{DIGEST[:-1]}.json",
    f".{DIGEST}.tmp",
]


@pytest.fixture
def leaf(tmp_path: Path) -> Path:
    path = tmp_path / DIGEST[:2]
    path.mkdir()
    return path


def described(serial: str, **facts: str) -> bytes:
    return encode(SourceRecord(key="key", size=5, version="1", checked=0, notes=facts), serial)


def test_a_source_and_its_description_are_an_entry(leaf: Path, tmp_path: Path) -> None:
    (leaf / f"{DIGEST}.{SERIAL}.source").write_bytes(bytes(5))
    (leaf / f"{DIGEST}.json").write_bytes(described(SERIAL))
    os.utime(leaf / f"{DIGEST}.{SERIAL}.source", (7, 7.5))
    directory = SourceDirectory(tmp_path)
    view = directory.look(DIGEST[:2])
    assert view.entries == [Entry(DIGEST, f"{DIGEST}.{SERIAL}.source", 8192, 7.5)]
    assert view.entries[0].leaf == DIGEST[:2]
    assert (view.bytes, view.strays, view.parts, view.scraps) == (8192, [], [], [])
    found = directory.read(DIGEST)
    assert found is not None
    assert found[1] == SERIAL
    assert directory.size_of(DIGEST, SERIAL) == 5
    assert directory.size_of(DIGEST, OTHER) is None


def test_what_is_left_over_is_sorted_by_kind(leaf: Path, tmp_path: Path) -> None:
    lonely = key_digest("lonely")
    (leaf / f"{DIGEST}.{SERIAL}.source").write_bytes(bytes(5))
    (leaf / f"{DIGEST}.{OTHER}.source").write_bytes(bytes(5000))
    (leaf / f"{DIGEST}.json").write_bytes(described(OTHER))
    (leaf / f".{DIGEST}.part").write_bytes(b"part")
    (leaf / f".{DIGEST}.draft").write_bytes(b"draft")
    (leaf / f"{lonely}.json").write_bytes(b"without a source")
    view = SourceDirectory(tmp_path).look(DIGEST[:2])
    assert [entry.source for entry in view.entries] == [f"{DIGEST}.{OTHER}.source"]
    assert view.strays == [f"{DIGEST}.{SERIAL}.source"]
    assert view.parts == [f".{DIGEST}.part"]
    assert sorted(view.scraps) == [f".{DIGEST}.draft", f"{lonely}.json"]
    assert view.bytes == 7 * 4096
    (leaf / f"{DIGEST}.json").write_bytes(b"torn")
    view = SourceDirectory(tmp_path).look(DIGEST[:2])
    assert view.entries == []
    assert len(view.strays) == 2


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_the_stores_own_is_not_seen(leaf: Path, tmp_path: Path, name: str) -> None:
    (leaf / name).write_bytes(b"somebody's")
    directory = SourceDirectory(tmp_path)
    assert directory.look(DIGEST[:2]).bytes == 0
    with pytest.raises(ForeignDirectory):
        directory.claim()
    (leaf / name).unlink()
    (leaf / f".{DIGEST}.part").touch()
    (tmp_path / LEDGER).touch()
    directory.claim()


def test_links_and_folders_of_the_right_name_are_not_seen(leaf: Path, tmp_path: Path) -> None:
    (leaf / f"{DIGEST}.{SERIAL}.source").symlink_to(tmp_path / "somewhere")
    (leaf / f".{DIGEST}.part").mkdir()
    assert SourceDirectory(tmp_path).look(DIGEST[:2]).bytes == 0


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    directory = SourceDirectory(tmp_path / "missing")
    assert directory.read(DIGEST) is None
    assert directory.size_of(DIGEST, SERIAL) is None
    assert directory.look("00").bytes == 0


def test_a_long_description_is_read_whole(leaf: Path, tmp_path: Path) -> None:
    (leaf / f"{DIGEST}.json").write_bytes(described(SERIAL, licence="x" * 100_000))
    found = SourceDirectory(tmp_path).read(DIGEST)
    assert found is not None
    assert len(found[0].notes["licence"]) == 100_000
    (leaf / f"{DIGEST}.json").write_bytes(described(SERIAL, licence="x" * 2_000_000))
    with pytest.raises(DamagedRecord):
        SourceDirectory(tmp_path).read(DIGEST)
