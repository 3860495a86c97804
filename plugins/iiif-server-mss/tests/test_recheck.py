"""What may no longer be shown is removed, without anybody asking for it."""

import asyncio

import pytest
from fake_museum import GUID, IRN
from iiif_server.api import KeepsSources
from iiif_server.caches.keys import owner_of
from iiif_server.caches.owned import LEAVES
from iiif_server.testing import draw_image
from iiif_server.testing.leaks import Resources

PICTURE = draw_image(GUID, 80, 60)
OTHER = "another-guid"


@pytest.fixture
async def live(museum, services):
    """A profile that remembers, with two images that were used."""
    services.add(PICTURE.original, width=80, height=60)
    services.add(PICTURE.original, guid=OTHER, irn=2, width=80, height=60)
    async with museum.with_options(info_cache_ttl=1000).live() as profile:
        for name in (GUID, OTHER):
            async with profile.use_source(await profile.get_info(name)):
                pass
        yield profile


async def kept(profile):
    return sorted(await profile._files.keys_by_name())


async def test_an_operator_finds_what_is_kept_by_the_images_name(live):
    upkeep = live.sources.upkeep("mss")
    found = await asyncio.to_thread(lambda: [one for leaf in LEAVES for one in upkeep.look(leaf)])

    assert isinstance(live, KeepsSources)
    assert {one.owner for one in found} == {owner_of("mss", GUID), owner_of("mss", OTHER)}


async def test_a_withdrawn_image_and_its_files_go(services, live, caplog):
    services.refused[str(IRN)] = 403

    assert await live._recheck.round() == 1
    assert await kept(live) == [OTHER]
    assert live._lookups.is_known(OTHER)
    assert not live._lookups.is_known(GUID)
    assert "1 images may no longer be shown" in caplog.text
    assert await live._recheck.round() == 0


async def test_an_outage_removes_nothing(services, live):
    before = await kept(live)
    services.failing["search"] = 500

    assert await live._recheck.round() == 0
    assert await kept(live) == before == sorted([GUID, OTHER])
    assert await live.get_info(GUID)


async def test_a_long_outage_ends_the_round(services, live, monkeypatch):
    monkeypatch.setattr("iiif_server_mss.recheck._FAILURES", 1)
    services.failing["search"] = 500
    with pytest.raises(Exception, match="ServiceUnavailable"):
        await live._recheck.round()

    assert await kept(live) == sorted([GUID, OTHER])


async def test_files_of_an_earlier_run_are_looked_up_too(services, live, museum):
    """Nothing is remembered of them, so nobody but the round would ever notice."""
    services.documents.clear()
    async with museum.live() as restarted:
        assert await restarted._recheck.round() == 2
        assert await kept(restarted) == []


async def test_what_was_just_looked_up_is_not_asked_about_again(services, live, museum):
    async with museum.with_options(info_cache_ttl=1000, recheck_interval=500).live() as profile:
        await profile.get_info(GUID)
        await profile.get_info(OTHER)
        services.asked.clear()
        await profile._recheck.round()

    assert services.asked["search"] == 0


async def test_it_happens_by_itself_and_ends_with_the_profile(services, live, museum):
    before = Resources.now()
    async with museum.with_options(info_cache_ttl=1000, recheck_interval=0.05).live() as profile:
        await profile.get_info(GUID)
        services.refused[str(IRN)] = 404
        async with asyncio.timeout(10):
            while GUID in await kept(profile):
                await asyncio.sleep(0.01)

    left = [what for what in await before.left_behind_by_now() if what.startswith("task ")]
    assert left == []
