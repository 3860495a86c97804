"""Stretches of files, wherever a damaged index says that they lie."""

from pathlib import Path

import pytest

from iiif_server.services.reading import SourceReader


@pytest.mark.parametrize("count", [5, 2 << 20])
@pytest.mark.parametrize("offset", [8, 2**62, 2**63, 2**64 - 1])
async def test_beyond_the_end_there_is_nothing(tmp_path: Path, offset: int, count: int) -> None:
    """Also where no file can go on."""
    path = tmp_path / "file"
    path.write_bytes(b"12345678")

    assert await SourceReader(str(path)).read(offset, count) is None
