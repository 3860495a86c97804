"""An operator may look at a store and purge it while profiles use it."""

import asyncio
import os
import time
from pathlib import Path

from iiif_server.caches.keys import owner_of, profile_digits
from iiif_server.caches.upkeep import Selection, purge, survey
from tests.caches.sources.conftest import StoreMaker
from tests.caches.sources.helpers import Origin, bytes_on_disk, leftovers, records, until, whole_files


async def filled(make_store: StoreMaker, origin: Origin):
    """A store of a profile whose keys are more than names, with three sources of two images."""
    store = make_store(name_of=lambda key: key.partition("/")[2])
    for key in ("one/a", "two/a", "one/b"):
        origin.bodies[key] = key.encode() * 3000
        async with store.lease(key, origin.fetch(key), max_age=None):
            pass
    return store


async def test_a_survey_counts_sources_with_their_descriptions(make_store, origin, directory) -> None:
    store = await filled(make_store, origin)
    total, by_profile = await asyncio.to_thread(survey, store.upkeep("web"))

    assert (total.entries, total.bytes) == (3, bytes_on_disk(directory))
    assert set(by_profile) == {profile_digits("web")}
    assert total.newest_use is not None
    assert abs(total.newest_use - time.time()) < 60
    assert store.upkeep("web").max_bytes == 64 << 20
    assert store.upkeep("web").path == directory


async def test_every_source_of_an_image_is_removed_and_no_other(make_store, origin, directory) -> None:
    store = await filled(make_store, origin)
    removed = await asyncio.to_thread(
        purge, store.upkeep("web"), Selection(frozenset({owner_of("web", "a")}))
    )

    assert removed.entries == 2
    assert [key async for key in store.stored_keys()] == ["one/b"]
    assert (
        await asyncio.to_thread(purge, store.upkeep("web"), Selection(frozenset({profile_digits("other")})))
    ).entries == 0
    assert (
        await asyncio.to_thread(purge, store.upkeep("web"), Selection(frozenset({profile_digits("web")})))
    ).entries == 1
    assert (whole_files(directory), records(directory), leftovers(directory)) == ([], [], [])


async def test_what_was_used_is_kept(make_store, origin, directory) -> None:
    store = await filled(make_store, origin)
    old = time.time() - 5000
    for path in whole_files(directory)[:2]:
        os.utime(path, (old, old))

    assert (
        await asyncio.to_thread(purge, store.upkeep("web"), Selection(unused_since=old + 1000))
    ).entries == 2
    assert len(whole_files(directory)) == 1


async def test_a_lent_source_is_forgotten_at_once_and_deleted_with_its_last_lease(
    make_store, origin, directory: Path
) -> None:
    """From another process, whose store has nothing but the directory in common."""
    store = await filled(make_store, origin)
    operator = make_store(name_of=lambda key: key.partition("/")[2])
    async with store.lease("one/a", origin.fetch("one/a"), max_age=None) as stored:
        assert (await asyncio.to_thread(purge, operator.upkeep("web"), Selection())).entries == 3
        assert stored.path.read_bytes() == origin.bodies["one/a"]
        assert records(directory) == []
        async with store.lease("one/a", origin.fetch("one/a"), max_age=None) as fetched:
            assert fetched.path != stored.path
            assert origin.fetches["one/a"] == 2
    await until(lambda: len(whole_files(directory)) == 1)

    assert leftovers(directory) == []


async def test_a_damaged_description_is_passed_over(make_store, origin, directory) -> None:
    store = await filled(make_store, origin)
    records(directory)[0].write_bytes(b"torn")

    assert (await asyncio.to_thread(survey, store.upkeep("web")))[0].entries == 2


async def test_nothing_is_made_by_looking(make_store, directory) -> None:
    upkeep = make_store().upkeep("web")

    assert (await asyncio.to_thread(survey, upkeep))[0].entries == 0
    assert (await asyncio.to_thread(purge, upkeep, Selection())).entries == 0
    assert not directory.exists()
