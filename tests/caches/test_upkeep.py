"""What is removed is what was selected, and nothing else."""

import os
import time
from pathlib import Path

import pytest

from iiif_server.caches.directory import CacheDirectory
from iiif_server.caches.keys import owner_of, profile_digits
from iiif_server.caches.upkeep import Amount, DerivativeUpkeep, Selection, purge, survey
from tests.caches.helpers import entries, key_of

NOW = time.time()
DAY = 86_400.0


@pytest.fixture
def directory(tmp_path: Path) -> CacheDirectory:
    """Ten derivatives of each of two images of each of two profiles, the n-th used n days ago."""
    directory = CacheDirectory(tmp_path)
    for profile in ("herbarium", "maps"):
        for name in ("a/1.jpg", "b:2"):
            for days in range(10):
                key = key_of((profile, name, days))[:40] + owner_of(profile, name)
                directory.write(key, bytes(5000))
                used = NOW - days * DAY
                os.utime(tmp_path / key[:2] / f"{key}.iiif", times=(used, used))
    return directory


def owners(directory: CacheDirectory) -> dict[str, int]:
    """How many derivatives there are of each image."""
    names = [path.name.removesuffix(".iiif") for path in entries(directory.path)]
    images = [(profile, name) for profile in ("herbarium", "maps") for name in ("a/1.jpg", "b:2")]
    return {
        f"{profile}:{name}": sum(n.endswith(owner_of(profile, name)) for n in names)
        for profile, name in images
    }


def test_a_survey_counts_everything_by_profile(directory: CacheDirectory) -> None:
    total, by_profile = survey(DerivativeUpkeep(directory))

    assert (total.entries, total.bytes) == (40, 40 * 8192)
    assert total.newest_use == pytest.approx(NOW, abs=1)
    assert total.oldest_use == pytest.approx(NOW - 9 * DAY, abs=1)
    assert set(by_profile) == {profile_digits("herbarium"), profile_digits("maps")}
    assert {amount.entries for amount in by_profile.values()} == {20}


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    upkeep = DerivativeUpkeep(CacheDirectory(tmp_path / "none"))

    assert survey(upkeep) == (Amount(), {})
    assert purge(upkeep, Selection()) == Amount()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        pytest.param(Selection(), [0, 0, 0, 0], id="everything"),
        pytest.param(Selection(frozenset({profile_digits("maps")})), [10, 10, 0, 0], id="a profile"),
        pytest.param(Selection(frozenset({owner_of("maps", "b:2")})), [10, 10, 10, 0], id="an image"),
        pytest.param(
            Selection(frozenset({owner_of("herbarium", "b:2"), profile_digits("maps")})),
            [10, 0, 0, 0],
            id="an image and a profile",
        ),
        pytest.param(Selection(unused_since=NOW - 6.5 * DAY), [7, 7, 7, 7], id="by age"),
        pytest.param(
            Selection(frozenset({owner_of("maps", "a/1.jpg")}), NOW - 6.5 * DAY),
            [10, 10, 7, 10],
            id="an image's by age",
        ),
        pytest.param(Selection(frozenset({owner_of("maps", "c")})), [10] * 4, id="another image"),
        pytest.param(Selection(frozenset({profile_digits("mapss")})), [10] * 4, id="another profile"),
    ],
)
def test_what_is_selected_is_removed(
    directory: CacheDirectory, selection: Selection, left: list[int]
) -> None:
    """A dry run tells the same, and removes nothing."""
    upkeep = DerivativeUpkeep(directory)
    would_be = purge(upkeep, selection, dry_run=True)

    assert list(owners(directory).values()) == [10] * 4

    removed = purge(upkeep, selection)

    assert list(owners(directory).values()) == left
    assert removed == would_be
    assert (removed.entries, removed.bytes) == (40 - sum(left), 8192 * (40 - sum(left)))
    assert purge(upkeep, selection).entries == 0


def test_whoever_may_not_delete_may_look(directory: CacheDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of no use any more is left to those who may."""
    outdated = next(directory.path.glob("??")) / f"{'0' * 40}.iiif"
    outdated.touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)

    assert survey(DerivativeUpkeep(directory))[0].entries == 40
    assert outdated.exists()


def test_what_servers_remove_meanwhile_is_fine(directory: CacheDirectory) -> None:
    """Eviction and a second purge may be at work in the same leaves."""

    class Hasty(DerivativeUpkeep):
        def look(self, leaf):
            found = list(super().look(leaf))
            for kept in found:
                (directory.path / leaf / kept.handle).unlink()
            yield from found

    assert purge(Hasty(directory), Selection()).entries == 40
    assert entries(directory.path) == []
