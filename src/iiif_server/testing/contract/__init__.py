"""What every profile promises, as tests to inherit."""

from __future__ import annotations

from iiif_server.testing.contract.application import ApplicationContract
from iiif_server.testing.contract.base import ContractBase
from iiif_server.testing.contract.infos import InfosContract
from iiif_server.testing.contract.lifecycle import LifecycleContract
from iiif_server.testing.contract.listing import ListingContract
from iiif_server.testing.contract.names import NamesContract
from iiif_server.testing.contract.options import OptionsContract
from iiif_server.testing.contract.originals import OriginalsContract
from iiif_server.testing.contract.sources import SourcesContract

__all__ = [
    "PARTS",
    "ApplicationContract",
    "ContractBase",
    "InfosContract",
    "LifecycleContract",
    "ListingContract",
    "NamesContract",
    "OptionsContract",
    "OriginalsContract",
    "ProfileContract",
    "SourcesContract",
]

PARTS = (
    OptionsContract,
    NamesContract,
    InfosContract,
    SourcesContract,
    OriginalsContract,
    ListingContract,
    LifecycleContract,
    ApplicationContract,
)
"""The parts of the contract; each may be inherited alone."""


class ProfileContract(  # pytest runs the last one's tests first
    ApplicationContract,
    LifecycleContract,
    ListingContract,
    OriginalsContract,
    SourcesContract,
    InfosContract,
    NamesContract,
    OptionsContract,
):
    """What every profile promises. Inherit it in a test class, and say by two fixtures what to test.

    Fixtures to define in the subclass:

    - ``known_image``: a :class:`KnownImage`, an image that is in the store. Best one of
      :func:`draw_image`, which is large enough for every test.
    - ``profile``: a :class:`ProfileSetup`, as the fixture ``iiif_profile`` makes it.

    Fixtures that may be defined:

    - ``unknown_name``: a name without an image, if the common one can't be a name of this store.
    - ``vanish``: a function, sync or async, that takes the known image out of the store.
    - ``modify``: a function, sync or async, that puts another image in the known one's place, under its name,
      and returns it as a :class:`KnownImage`.
    - ``damage``: a function, sync or async, that makes the known image unreadable where it is kept.

    They belong into the class: those of a module are not seen past the contract's own. A store that keeps
    images in several ways gets a class for each: inherit the first one, and change what differs.

    What a profile does not offer is skipped, with the reason: ``pytest -rs`` shows them.
    """
