"""Where things are, relative to this file: the tests run from any checkout."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "iiif_server"
SHARED_IMAGES = REPOSITORY.parent / "shared" / "images"
