"""Which worker a source sticks to: rendezvous hashing."""

from __future__ import annotations

from hashlib import blake2b


def rank_slots(key: str, slots: int, share: int | None = None) -> tuple[int, ...]:
    """The slots in the order in which ``key`` prefers them.

    Each slot draws a lot from a hash of its number and the key. The order depends on nothing else, so it is
    the same after a restart and in every process, and another number of slots moves only the keys it has to.

    Args:
        key: of a source.
        slots: how many there are.
        share: begins so many places further on, so that the shares of one key go to different slots.
    """
    encoded = key.encode("utf-8", "surrogateescape")

    def lot(slot: int) -> bytes:
        return blake2b(encoded, digest_size=8, salt=slot.to_bytes(16, "big")).digest()

    ranking = tuple(sorted(range(slots), key=lot))
    first = (share or 0) % slots
    return ranking[first:] + ranking[:first]
