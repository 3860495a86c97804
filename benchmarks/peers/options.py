"""Where things are kept between runs."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.sources import make_sources
from platformdirs import user_cache_path


@dataclass(frozen=True)
class Places:
    """Directories.

    Attributes:
        images: of the sources.
        installed: of peers that are not in the system.
    """

    images: Path
    installed: Path


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options that `prepared` reads."""
    cache = user_cache_path("iiif-server-benchmarks")
    parser.add_argument("--cache", type=Path, default=cache, help="what is made or installed is kept here")
    parser.add_argument(
        "--sources", type=Path, help="directory of ready sources: J1.jpg J2.jpg T2.tif P1.png JP2.jp2"
    )
    parser.add_argument("--images", type=Path, help="the collection of test images, to make sources of")


def prepared(options: argparse.Namespace) -> Places:
    """Have all sources; those that were given once stay linked."""
    cache: Path = options.cache.resolve()
    make_sources(cache / "images", options.sources, options.images)
    return Places(cache / "images", cache / "installed")
