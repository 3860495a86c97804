"""What is measured, and of whom."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.peers import quality
from benchmarks.peers.bars import THUMBNAILS
from benchmarks.peers.measures import (
    Measured,
    Target,
    cold_tiles,
    growth,
    hot,
    idle_memory,
    info,
    memory_of,
    mixture,
    replay,
    single,
    viewing,
)
from benchmarks.peers.requests import Request, offered_tiles, some_tiles, stored_tiles
from benchmarks.peers.sources import SOURCES

from iiif_server.config.model import Config


@dataclass(frozen=True)
class Workload:
    """Something to measure.

    Attributes:
        text: for the table.
        source: which image.
        measure: does it.
        ours: which of our servers are measured.
        floors: names of those beside.
        peers: whether the others are measured.
        libraries: width of a thumbnail that libraries make as well; 0 for none.
        once: whether one run tells all, since there is no chance in it.
        needs: a key of the configuration without which there is nothing to measure.
    """

    name: str
    text: str
    source: str
    measure: Callable[[Target], Measured]
    ours: tuple[str, ...] = ("ours-1", "ours-2")
    floors: tuple[str, ...] = ()
    peers: bool = True
    libraries: int = 0
    once: bool = False
    needs: str = ""

    @property
    def possible(self) -> bool:
        """Whether this version of the server has what it needs."""
        return not self.needs or self.needs in Config.model_fields


def _thumbnail(name: str, width: int = 400) -> Workload:
    height = round(SOURCES[name].height * width / SOURCES[name].width)
    request = Request(f"full/{width},/0/default.jpg", width, height)
    text = f"thumbnail of {width} px of {name}, cold"
    return Workload(f"thumbnail-{name}", text, name, single(request), libraries=width)


JPG, PNG = (Request(f"full/max/0/default.{suffix}", 6000, 4000) for suffix in ("jpg", "png"))

WORKLOADS = (
    Workload(
        "tiles-256",
        "stored tiles of 256 px of T2, cold",
        "T2",
        cold_tiles(stored_tiles),
        floors=("aiohttp-2", "nginx-file"),
    ),
    Workload("tiles-512", "tiles of 512 px of T2, cold", "T2", cold_tiles(offered_tiles)),
    *(
        Workload(f"session-{name}", f"all tiles of 512 px of {name}", name, viewing, floors=("aiohttp-2",))
        for name in ("J1", "J2", "JP2")
    ),
    Workload(
        "hot", "50 tiles of 512 px of T2, hot", "T2", hot, floors=("aiohttp-1", "aiohttp-2", "nginx-file")
    ),
    Workload("info", "info.json of T2, hot", "T2", info, floors=("aiohttp-1", "aiohttp-2")),
    *(_thumbnail(name) for name in THUMBNAILS),
    Workload("full-jpg", "full/max of J1 as JPEG", "J1", single(JPG)),
    Workload("full-png", "full/max of J1 as PNG", "J1", single(PNG)),
    Workload("mixed-T2", "regions of all kinds of T2", "T2", mixture),
    Workload("mixed-J1", "regions of all kinds of J1", "J1", mixture),
    Workload("replay-J2", "a viewer's session with J2", "J2", replay(512)),
    Workload("replay-T2", "a viewer's session with T2", "T2", replay(256)),
    Workload("replay-JP2", "a viewer's session with JP2", "JP2", replay(512)),
    *(
        Workload(
            f"quality-{name}", f"scaled JPEGs of {name}", name, quality.measure, ours=("ours-1",), once=True
        )
        for name in ("J1", "P1", "T2", "JP2")
    ),
    Workload("memory-idle", "memory, idle", "T2", idle_memory),
    Workload("memory-tiles", "memory for 400 cold tiles of 512 px of T2", "T2", memory_of(offered_tiles)),
    Workload(
        "memory-pyramid",
        "memory while the pyramid of J2 is built",
        "J2",
        memory_of(some_tiles),
        peers=False,
        needs="pyramids",
    ),
    Workload("growth", "a tile of 1 gigapixel beside one of 25 megapixels", "GIGA", growth, peers=False),
)
