"""What is asked for, what that means for the image at hand, and the rules by which it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import Format, ImageParameters
from iiif_server.iiif.resolve import Operation
from iiif_server.iiif.uri import Identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.base import ImageInfo, Profile


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A request for a derivative, as it was parsed, and the version of the API that it was made by."""

    identifier: Identifier
    parameters: ImageParameters
    api: ApiVersion
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Hash once: whoever keeps the request looks it up for every answer."""
        object.__setattr__(self, "_hash", hash((self.identifier, self.parameters, self.api)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A request resolved against what is known of the image; nothing was rendered for it yet.

    Attributes:
        request: what was asked for.
        info: the image, in the version this was resolved against.
        operation: what is to be done, in absolute pixels.
        canonical: the parameters of the canonical URI.
        key: the derivative's key: its name in the caches, and its ETag.
    """

    request: ImageRequest
    profile: Profile[Any]
    info: ImageInfo
    operation: Operation
    canonical: str
    key: str


@dataclass(frozen=True, slots=True)
class RenderRules:
    """What is made and offered for one profile: its part of the configuration, and what is installed.

    Attributes:
        limits: the largest result that is made.
        settings: all that changes pixels or bytes.
        formats: every format that can be written here.
        renderer: a fingerprint of the installed codecs, part of every key.
        preferred_formats: those of the formats that clients should ask for, best first.
    """

    limits: Limits
    settings: RenderSettings
    formats: frozenset[Format]
    renderer: str
    preferred_formats: tuple[Format, ...] = ()
