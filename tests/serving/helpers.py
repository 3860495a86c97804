"""What tests of several processes share."""

from array import array

from iiif_server.serving.tally import Tally


def tallies(processes: int) -> list[Tally]:
    """What each of some processes sees that have not begun."""
    counts = memoryview(array("i", [-1] * processes))
    return [Tally(counts, number) for number in range(processes)]
