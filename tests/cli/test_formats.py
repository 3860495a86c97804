"""``iiif-server formats``: what is told is what is done."""

import argparse
import json

import pytest

from iiif_server.cli import formats
from iiif_server.cli.main import main
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.encode import available_formats
from iiif_server.imaging.readers.registry import READERS


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["formats", *options])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_tells_every_format_and_its_libraries(capsys):
    told = json.loads(printed(capsys, "--json"))

    assert [item["name"] for item in told["reads"]] == [reader.format.name for reader in READERS]
    assert {item["format"] for item in told["writes"] if item["available"]} == set(available_formats())
    for item in (*told["reads"], *told["writes"]):
        assert item["libraries"]
        assert all(version[0].isdigit() for version in item["libraries"].values())


def test_the_table_has_a_line_for_each(capsys):
    lines = printed(capsys).splitlines()

    assert len(lines) == 3 + len(READERS) + len(Format)
    assert any(line.split()[:3] == ["TIFF", "image/tiff", "tif"] and "tifffile 20" in line for line in lines)
    assert any(line.split()[:2] == ["pdf", "application/pdf"] for line in lines)


def test_a_missing_codec_is_told(capsys, monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")

    assert formats.run(argparse.Namespace(json=False)) == 0
    missing = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "missing" in line]
    assert missing == ["AVIF", "avif"]
