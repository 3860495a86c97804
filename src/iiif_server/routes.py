"""Addresses that a plugin answers, without a word of the web framework."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from iiif_server.iiif.uri import Identifier, split_identifier
from iiif_server.profiles.base import Profile

RESERVED: Final = frozenset({"iiif", "static", "originals", "status", "health", "metrics", "favicon.ico"})
"""First segments that are the server's own."""

IMAGE_ENDINGS: Final = frozenset({"info.json", "original", "preview", "thumbnail"})
"""What follows an identifier in two-part addresses of an image."""

_IMAGE_REQUEST_PARTS: Final = 5
_LITERAL: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_PARAMETER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """A request for a plugin's route.

    Attributes:
        parameters: what stands in the path for each ``{parameter}``, percent-decoded.
        query: the first value of each name in the query.
        profiles: every configured profile by its name.
        default_profile: the one that identifiers without a profile mean, if there is one.
        base_url: the public address of this server, without a slash at the end.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    profiles: Mapping[str, Profile[Any]]
    default_profile: str | None
    base_url: str

    def image_url(self, profile: str, name: str) -> str:
        """The public URI of an image, without the profile's name where that is the default one."""
        identifier = str(Identifier(profile, name))
        short = identifier.removeprefix(str(Identifier(profile, "")))
        means_the_same = split_identifier(name, self.default_profile) == (profile, name, 1)
        return f"{self.base_url}/{short if means_the_same else identifier}"


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """What a plugin's route answers. Errors are raised, as everywhere.

    Attributes:
        status: of HTTP.
        body: as it is sent.
        content_type: of the body.
        headers: besides.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def redirect(cls, location: str, status: int = 303) -> RouteAnswer:
        """Send the client to another address."""
        return cls(status, headers={"Location": location})


@dataclass(frozen=True, slots=True)
class Route:
    """An address that a plugin answers for GET and HEAD, as it registers it with ``iiif_register_routes``.

    A path has two parts or more, the first of which is plain text and no address of the server's. A
    ``{parameter}`` takes one whole part. Whatever could be an address of an image, is one: paths of five
    parts are none of a plugin's, and a parameter that ends a path of two parts is never ``info.json``,
    ``original``, ``preview`` or ``thumbnail``.

    Attributes:
        path: such as ``/mam/{asset_id}``.
        handler: answers; it runs on the event loop and must not block it.

    Raises:
        ValueError: the path is none.
    """

    path: str
    handler: Callable[[RouteRequest], Awaitable[RouteAnswer]]

    def __post_init__(self) -> None:
        slash, *parts = self.path.split("/")
        if slash or len(parts) < 2 or not _LITERAL.fullmatch(parts[0]):
            raise ValueError(f"want a path of two parts or more, the first without parameters: {self.path!r}")
        for part in parts:
            if part in (".", "..") or not (_LITERAL.fullmatch(part) or _PARAMETER.fullmatch(part)):
                raise ValueError(f"{part!r} is neither plain text nor a {{parameter}}, in {self.path!r}")
        if len(set(self.parameters)) != len(self.parameters):
            raise ValueError(f"one parameter stands twice in {self.path!r}")
        of_an_image = len(parts) == _IMAGE_REQUEST_PARTS or (len(parts) == 2 and parts[1] in IMAGE_ENDINGS)
        if parts[0] in RESERVED or of_an_image:
            raise ValueError(f"{self.path!r} is an address of the server's own")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of the path."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def shape(self) -> str:
        """Two routes of one shape answer the same addresses."""
        return _PARAMETER.sub("{}", self.path)

    @property
    def ends_like_an_image(self) -> bool:
        """Whether the last part could be that of an image's address."""
        return self.path.count("/") == 2 and self.path.endswith("}")
