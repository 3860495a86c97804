"""Archives: whole in the eyes of others, and exactly as long as was announced."""

import io
import shutil
import subprocess
import zipfile
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.services.zips import ZipEntry, ZipWriter, zip_length

GIBIBYTE = 1 << 30
PIECE = bytes(4 << 20)


def archive_of(files):
    """An archive of files, each with its entry."""
    made = b""
    with ZipWriter() as writer:
        for entry, content in files:
            with writer.entry(entry) as write:
                for start in range(0, len(content), 7):
                    write(content[start : start + 7])
                    made += writer.take()
    return made + writer.take()


@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=60
        ),
        st.tuples(st.binary(max_size=100), st.none() | st.floats(-1e12, 1e12)),
        max_size=8,
    )
)
def test_archives_are_whole_and_as_long_as_announced(files):
    entries = [
        (ZipEntry(name, len(content), modified), content) for name, (content, modified) in files.items()
    ]
    made = archive_of(entries)

    assert len(made) == zip_length(entry for entry, _ in entries)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(files)
        for name, (content, _) in files.items():
            info = archive.getinfo(name)
            assert archive.read(name) == content
            assert info.compress_type == zipfile.ZIP_STORED
            assert 1980 <= info.date_time[0] <= 2107
            assert bool(info.flag_bits & 0x800) == (not name.isascii())
            assert info.external_attr >> 16 == 0o644


def test_the_date_is_that_of_the_file_in_utc():
    made = archive_of([(ZipEntry("a", 1, 1_000_000_001.5), b"x"), (ZipEntry("b", 0), b"")])

    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.getinfo("a").date_time == (2001, 9, 9, 1, 46, 40)  # to two seconds
        assert archive.getinfo("b").date_time == (1980, 1, 1, 0, 0, 0)


def test_the_same_files_make_the_same_archive():
    entries = [(ZipEntry("a", 3, 1e9), b"abc"), (ZipEntry("é", 0, 2e9), b"")]

    assert archive_of(entries) == archive_of(entries)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_agrees(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(archive_of([(ZipEntry(f"{n} é☃.tif", 3000, 1e9), bytes(3000)) for n in range(20)]))
    found = subprocess.run(["unzip", "-t", str(path)], capture_output=True, check=False, text=True)

    assert found.returncode == 0, found.stdout + found.stderr
    assert "No errors detected" in found.stdout


class Ends:
    """The bytes of a huge archive of zeros, without most of the zeros: every piece that is not all zeros."""

    def __init__(self):
        self.parts = {}
        self.length = 0

    def add(self, piece):
        if piece is not PIECE:
            self.parts[self.length] = piece
        self.length += len(piece)

    def write_to(self, path):
        with path.open("wb") as file:
            for offset, piece in self.parts.items():
                file.seek(offset)
                file.write(piece)
            file.truncate(self.length)


@pytest.mark.parametrize(
    "lengths",
    [
        [5 * GIBIBYTE, 10],  # sizes above 4 GiB, and an offset
        [3 * GIBIBYTE, 3 * GIBIBYTE, 3],  # above 2 GiB, where some readers begin to count in 64 bits
        [GIBIBYTE] * 5,  # only offsets are large
        [2 * GIBIBYTE - 4],  # the last length without zip64
        [2 * GIBIBYTE],
    ],
)
def test_zip64(tmp_path, monkeypatch, lengths):
    """Structure and length of archives beyond 4 GiB, written as a sparse file and read by others."""
    # The checksum of gigabytes of zeros would take longer than the rest; readers check the small entries.
    monkeypatch.setattr(zipfile, "crc32", lambda data, crc=0: 0 if data is PIECE else crc32(data, crc))
    entries = [ZipEntry(f"{number}.tif", length, 1e9) for number, length in enumerate(lengths)]
    ends = Ends()
    with ZipWriter() as writer:
        for entry in entries:
            with writer.entry(entry) as write:
                ends.add(writer.take())
                for _ in range(entry.length // len(PIECE)):
                    write(PIECE)
                    ends.add(writer.take())
                write(b"x" * (entry.length % len(PIECE)))
    ends.add(writer.take())
    path = tmp_path / "huge.zip"
    ends.write_to(path)

    assert ends.length == zip_length(entries) == path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        assert [(info.filename, info.file_size) for info in archive.infolist()] == [
            (entry.name, entry.length) for entry in entries
        ]
        for info in archive.infolist():
            with archive.open(info) as file:  # the local header agrees with the directory
                assert file.read(1) in (b"\0", b"x")
        if entries[-1].length < 100:
            assert archive.read(entries[-1].name) == b"x" * entries[-1].length
    if shutil.which("unzip"):
        found = subprocess.run(["unzip", "-l", str(path)], capture_output=True, check=False, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
        assert all(str(length) in found.stdout for length in lengths)
