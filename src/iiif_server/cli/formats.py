"""``iiif-server formats``: what this installation reads and writes, and by what."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iiif_server.cli.serve import Subparsers

_MISSING = "not available: its codec is missing"


def add_parser(subparsers: Subparsers) -> None:
    """Add this command."""
    parser = subparsers.add_parser(
        "formats",
        help="list the image formats that are read and written here",
        description="List the image formats that are read and written here, and by which libraries.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the formats."""
    found = installed()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    print("Reads:")
    for item in found["reads"]:
        print(f"  {item['name']:10} {item['media_type']:12} {' '.join(item['suffixes']):25} {_by(item)}")
    print("Writes:")
    for item in found["writes"]:
        print(f"  {item['format']:10} {item['media_type']:38} {_by(item)}")
    print(f"Lossless JPEG work: {_listed(found['lossless_jpeg']) or 'not available'}")
    return 0


def installed() -> dict[str, Any]:
    """What is read and written here, as JSON objects."""
    # Imported here so that the other commands start without the codecs.
    from iiif_server.iiif.parameters import Format
    from iiif_server.imaging.codecs import WRITERS, versions
    from iiif_server.imaging.encode import available_formats
    from iiif_server.imaging.lossless import lossless_available
    from iiif_server.imaging.readers.registry import READERS

    writes = available_formats()
    return {
        "reads": [
            {
                "name": reader.format.name,
                "media_type": reader.format.media_type,
                "suffixes": list(reader.format.suffixes),
                "available": reader.available(),
                "libraries": versions(reader.libraries),
            }
            for reader in READERS
        ],
        "writes": [
            {
                "format": str(item),
                "media_type": item.media_type,
                "available": item in writes,
                "libraries": versions(WRITERS[item]),
            }
            for item in Format
        ],
        "lossless_jpeg": versions(["jpegtran-cffi"]) if lossless_available() else {},
    }


def _by(item: dict[str, Any]) -> str:
    return _listed(item["libraries"]) if item["available"] else _MISSING


def _listed(libraries: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in libraries.items() if version)
