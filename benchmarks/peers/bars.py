"""What is wanted: ratios to others within one run, or plain limits."""

from dataclasses import dataclass

PEERS = "peers"
"""Instead of a name: whichever peer is best."""

LIBRARIES = "libraries"
"""Instead of a name: the faster of Pillow and libvips."""


@dataclass(frozen=True)
class Bar:
    """One requirement.

    Attributes:
        workload: its name.
        figure: which of its figures; those that end in ``/s`` should be large, all others small.
        rival: whom to compare with, by name, or `PEERS` or `LIBRARIES`; empty for a plain limit.
        bound: the least ratio, so many times as good; with ``most``, what ours may be of the other's.
        most: see ``bound``; always so for plain limits.
        ours: which of our servers, by name; by default the best, and for plain limits the worst.
    """

    workload: str
    figure: str
    rival: str
    bound: float
    most: bool = False
    ours: str = ""

    @property
    def text(self) -> str:
        """For the table."""
        sign = "≤" if self.most else "≥"
        return f"{sign} {self.bound:g}" + ("" if self.rival else f" {self.figure.rpartition(', ')[2]}")

    def met(self, ratio: float) -> bool:
        """Whether this is enough."""
        return ratio <= self.bound if self.most else ratio >= self.bound

    def ratio(self, mine: float, other: float) -> float:
        """How many times as good ours is; with ``most``, how many times as much it takes."""
        if self.most or larger_is_better(self.figure):
            return mine / other
        return other / mine


def larger_is_better(figure: str) -> bool:
    """Rates, as opposed to times and sizes."""
    return figure.endswith("/s")


THUMBNAILS = ("J1", "J2", "P1", "T2", "JP2")

BARS = (
    Bar("tiles-256", "tiles/s", "IIPImage", 4),
    Bar("tiles-256", "tiles/s", "aiohttp-2", 0.6),
    Bar("tiles-512", "tiles/s", "IIPImage", 2),
    Bar("session-J1", "all, s", PEERS, 4),
    Bar("session-J1", "first tile, ms", PEERS, 1),
    Bar("session-J1", "again, tiles/s", "aiohttp-2", 0.6),
    Bar("session-J2", "all, s", PEERS, 15),
    Bar("session-J2", "first tile, ms", PEERS, 1),
    Bar("session-J2", "again, tiles/s", "aiohttp-2", 0.6),
    Bar("session-JP2", "all, s", "IIPImage", 1.5),
    Bar("hot", "tiles/s", PEERS, 10),
    Bar("hot", "tiles/s", "aiohttp-2", 0.7, ours="ours-2"),
    Bar("hot", "tiles/s", "ours-1", 1.7, ours="ours-2"),
    Bar("info", "answers/s", "IIPImage", 1.5),
    *(Bar(f"thumbnail-{name}", "ms", LIBRARIES, 1.2, most=True) for name in THUMBNAILS),
    Bar("full-jpg", "ms", PEERS, 5),
    Bar("full-png", "ms", PEERS, 1),
    Bar("mixed-T2", "answers/s", PEERS, 2),
    Bar("mixed-J1", "answers/s", PEERS, 5),
    Bar("memory-idle", "MiB", "", 120, most=True, ours="ours-2"),
    Bar("memory-tiles", "more, MiB", "", 150, most=True),
    Bar("memory-pyramid", "more, MiB", "", 400, most=True),
    Bar("growth", "stored, times", "", 1.2, most=True),
    Bar("growth", "made, times", "", 1.2, most=True),
)
