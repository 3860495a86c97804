"""The budget of decoded pixels."""

from PIL import Image

from iiif_server.imaging.levels import LevelCache


def level(side: int, mode: str = "L") -> Image.Image:
    return Image.new(mode, (side, side))


def test_makes_once() -> None:
    """Then it is there."""
    cache = LevelCache(1000)
    first = cache.get("a", lambda: level(10))
    assert cache.get("a", lambda: level(1)) is first
    assert cache.used == 100


def test_drops_what_was_used_least_recently() -> None:
    """As soon as the budget is exceeded."""
    cache = LevelCache(250)
    a = cache.get("a", lambda: level(10))
    cache.get("b", lambda: level(10))
    cache.get("a", lambda: level(1))
    cache.get("c", lambda: level(10))
    assert cache.used == 200
    assert cache.get("a", lambda: level(1)) is a
    assert cache.get("b", lambda: level(5)).size == (5, 5)


def test_what_is_beyond_the_budget_drops_nothing() -> None:
    """It is handed out and not kept."""
    cache = LevelCache(150)
    a = cache.get("a", lambda: level(10))
    assert cache.get("b", lambda: level(20)).size == (20, 20)
    assert cache.get("a", lambda: level(1)) is a
    assert cache.used == 100


def test_colour_takes_four_bytes() -> None:
    """As Pillow holds it, three channels too."""
    cache = LevelCache(1000)
    for mode in ("RGB", "RGBA", "LA"):
        cache.get(mode, lambda mode=mode: level(5, mode))  # type: ignore[misc]
    assert cache.used == 300


def test_a_sheet_of_tiles_weighs_its_bytes() -> None:
    """It shares the budget with the levels."""
    cache = LevelCache(1000)
    cache.get("sheet", lambda: {1: b"12345", 2: b"678"})
    assert cache.used == 8
    assert cache.holds(1000)
    assert not cache.holds(1001)


def test_keeps_nothing_without_a_budget() -> None:
    """Which is a setting, not an error."""
    cache = LevelCache(0)
    cache.get("a", lambda: level(1))
    assert cache.used == 0


def test_work_and_what_is_kept_share_the_budget() -> None:
    """What was used least recently goes first, and no more of it than has to."""
    cache = LevelCache(300)
    for key in "abc":
        cache.get(key, lambda: level(10))
    cache.make_room(50)
    assert cache.used == 200
    cache.make_room(1000)
    assert cache.used == 0
    assert cache.get("d", lambda: level(10)).size == (10, 10)
    assert cache.used == 100
