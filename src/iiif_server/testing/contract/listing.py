"""The names of all images, if the profile tells them."""

from __future__ import annotations

import pytest

from iiif_server.api import ListsNames
from iiif_server.testing.contract.base import ContractBase, LiveProfile
from iiif_server.testing.images import KnownImage

_ALL = 10_000
_CHECKED = 50


class ListingContract(ContractBase):
    """What `list_names` gives, if the profile has it."""

    async def test_names_come_in_one_order(self, live: LiveProfile) -> None:
        """Listing again gives the same names in the same order, each once."""
        listing = listing_of(live)
        names = list(await listing.list_names(None, _ALL))

        assert list(await listing.list_names(None, _ALL)) == names
        assert len(set(names)) == len(names)

    async def test_pages_are_complete(self, live: LiveProfile) -> None:
        """Page by page come the same names as at once, no page is too long, and after the last is nothing."""
        listing = listing_of(live)
        names = list(await listing.list_names(None, _CHECKED))
        for limit in (1, 2, 7):
            paged: list[str] = []
            while len(paged) < len(names):
                page = await listing.list_names(paged[-1] if paged else None, limit)
                assert 0 < len(page) <= limit, f"a page of {limit} names at most, after {paged[-1:]}"
                paged.extend(page)

            assert paged[: len(names)] == names
        if len(names) < _CHECKED:
            assert list(await listing.list_names(names[-1], _ALL)) == []

    async def test_every_listed_name_is_an_image(self, live: LiveProfile, known_image: KnownImage) -> None:
        """The known image is listed, and `get_info` knows what is listed."""
        names = await listing_of(live).list_names(None, _ALL)
        assert known_image.name in names
        for name in names[:_CHECKED]:
            assert (await live.get_info(name)).name == name


def listing_of(profile: LiveProfile) -> ListsNames:
    """The profile as one that lists names; the test is skipped if it does not."""
    if not isinstance(profile, ListsNames):
        pytest.skip(f"{type(profile).__name__} lists no names: it has no `list_names`")
    return profile
