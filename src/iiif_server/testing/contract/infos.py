"""What is known of an image, and the version of it."""

from __future__ import annotations

import asyncio
import time

from iiif_server.api import IIIFServerError, ImageInfo, ImageNotFound
from iiif_server.testing.contract.base import (
    Change,
    ContractBase,
    LiveProfile,
    borrowed,
    changed,
    look_ups,
    outcome,
    secrets,
)
from iiif_server.testing.images import KnownImage
from iiif_server.testing.profiles import ProfileSetup

_DAY = 86_400


class InfosContract(ContractBase):
    """What `get_info` tells."""

    async def test_what_is_known_of_the_image(self, live: LiveProfile, known_image: KnownImage) -> None:
        """`get_info` gives an `ImageInfo` with the name that was asked for and the picture's own size."""
        info = await live.get_info(known_image.name)

        assert isinstance(info, ImageInfo)
        assert info.name == known_image.name
        assert tuple(info.size) == known_image.picture.size
        assert isinstance(info.version, str)
        assert info.version
        assert info.modified is None or 0 <= info.modified <= time.time() + _DAY

    async def test_the_same_image_has_the_same_version(
        self, profile: ProfileSetup, live: LiveProfile, known_image: KnownImage
    ) -> None:
        """Asking again gives the same version, also after the image was used, and after a restart."""
        first = (await live.get_info(known_image.name)).version
        await borrowed(live, await live.get_info(known_image.name))
        again = (await live.get_info(known_image.name)).version
        async with profile.live() as restarted:
            later = (await restarted.get_info(known_image.name)).version

        assert again == first, "the version of the same image, asked again"
        assert later == first, "the version of the same image after a restart"

    async def test_a_changed_image_has_another_version(
        self, live: LiveProfile, known_image: KnownImage, modify: Change
    ) -> None:
        """When the stored bytes change, so do the version, the size, and the file that is lent."""
        before = await live.get_info(known_image.name)
        lent_before = await borrowed(live, before)
        there_now: KnownImage = await changed(modify)
        after = await live.get_info(known_image.name)

        assert after.version != before.version, "the stored bytes are others now"
        assert tuple(after.size) == there_now.picture.size
        assert await borrowed(live, after) != lent_before

    async def test_a_vanished_image_is_not_found(
        self, live: LiveProfile, known_image: KnownImage, vanish: Change
    ) -> None:
        """When an image is taken out of the store, every method says that it is not there."""
        info = await live.get_info(known_image.name)
        await changed(vanish)
        for method, call in look_ups(live, known_image.name, info).items():
            result = await outcome(call)

            assert isinstance(result, ImageNotFound), f"{method}() of an image that has vanished"

    async def test_a_damaged_image_is_refused(
        self, profile: ProfileSetup, live: LiveProfile, known_image: KnownImage, damage: Change
    ) -> None:
        """When an image is damaged, `get_info` raises an `IIIFServerError`, and no method another error."""
        info = await live.get_info(known_image.name)
        hidden = await asyncio.to_thread(secrets, profile)
        await changed(damage)
        for method, call in look_ups(live, known_image.name, info).items():
            result = await outcome(call)
            refused = isinstance(result, IIIFServerError)
            handed_out = method != "get_info" and not isinstance(result, Exception)

            assert refused or handed_out, f"{method}() of a damaged image: {result!r}"
            public = result.public if isinstance(result, IIIFServerError) else ""
            assert [secret for secret in hidden if secret in public] == [], f"the public text of {method}()"

    async def test_a_hundred_may_ask_at_once(self, live: LiveProfile, known_image: KnownImage) -> None:
        """A hundred concurrent calls of `get_info` give a hundred equal answers."""
        infos = await asyncio.gather(*(live.get_info(known_image.name) for _ in range(100)))

        assert set(infos) == {infos[0]}
