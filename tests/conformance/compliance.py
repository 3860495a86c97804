"""The lines of the compliance documents' tables, and what a client finds if it tries one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.conformance.pictures import EXAMPLE
from tests.conformance.service import Service

Levels = tuple[bool, bool, bool]

ALWAYS: Levels = (True, True, True)
FROM_1: Levels = (False, True, True)
FROM_2: Levels = (False, False, True)
OPTIONAL: Levels = (False, False, False)


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        name: the feature, quality or format, by the name that documents list it under; empty if always there.
        required: whether it is, at levels 0, 1 and 2.
        provided: tries it on the example image.
        key: where documents list it: ``features``, ``qualities`` or ``formats``.
    """

    name: str
    required: Levels
    provided: Callable[[Service], bool]
    key: str = "features"


def gives(parameters: str, *size: int) -> Callable[[Service], bool]:
    """Try an image request, which has to give an image of a size, or else fail with a 4xx or 501."""

    def provided(service: Service) -> bool:
        answer = service.ask(parameters)
        if answer.status != 200:
            assert 400 <= answer.status < 500 or answer.status == 501
            return False
        assert size == () or service.size(parameters) == size
        return True

    return provided


def quality(name: str, required: Levels) -> Line:
    """A line of section 3.4."""
    return Line(name, required, gives(f"full/150,/0/{name}.png", 150, 100), "qualities")


def image_format(name: str, required: Levels) -> Line:
    """A line of section 3.5."""
    return Line(name, required, gives(f"full/150,/0/default.{name}"), "formats")


def redirects(service: Service) -> bool:
    """``baseUriRedirect``."""
    answer = service.client.get(service.path)
    return answer.status in {301, 302, 303} and answer.headers["Location"] == f"{service.uri}/info.json"


def allows_cross_origin(service: Service) -> bool:
    """``cors``: on all responses."""
    answers = [
        service.ask(path, Origin="https://viewer.example") for path in (_IMAGE, "info.json", "nothing")
    ]
    return {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"*"}


def speaks_linked_data(service: Service) -> bool:
    """``jsonldMediaType``."""
    content_type: str = service.ask("info.json", Accept="application/ld+json").headers["Content-Type"]
    return content_type.partition(";")[0] == "application/ld+json"


def links_to_profile(service: Service) -> bool:
    """``profileLinkHeader``: on image responses."""
    profile = f"http://iiif.io/api/image/{service.version}/level2.json"
    return service.links(_IMAGE).get("profile") == profile


def links_to_canonical(service: Service) -> bool:
    """``canonicalLinkHeader``: on image responses."""
    return "canonical" in service.links(_IMAGE)


HTTP_LINES = [
    Line("baseUriRedirect", FROM_1, redirects),
    Line("cors", FROM_1, allows_cross_origin),
    Line("jsonldMediaType", FROM_1, speaks_linked_data),
    Line("profileLinkHeader", OPTIONAL, links_to_profile),
    Line("canonicalLinkHeader", OPTIONAL, links_to_canonical),
]
"""Section 4, which is the same in both versions."""

ROTATION_LINES = [
    Line("", ALWAYS, gives("full/150,/0/default.jpg", 150, 100)),
    Line("rotationBy90s", FROM_2, gives("full/150,/90/default.jpg", 100, 150)),
    Line("rotationBy90s", FROM_2, gives("full/150,/180/default.jpg", 150, 100)),
    Line("rotationBy90s", FROM_2, gives("full/150,/270/default.jpg", 100, 150)),
    Line("rotationArbitrary", OPTIONAL, gives("full/150,/22.5/default.jpg")),
    Line("mirroring", OPTIONAL, gives("full/150,/!0/default.jpg", 150, 100)),
]
"""Section 3.3, which is the same in both versions."""

FORMAT_LINES = [
    image_format("jpg", ALWAYS),
    image_format("png", FROM_2),
    *(image_format(name, OPTIONAL) for name in ("tif", "gif", "pdf", "jp2", "webp")),
]
"""Section 3.5, which is the same in both versions."""

FULL = gives("full/max/0/default.jpg", *EXAMPLE)
_IMAGE = "125,15,120,140/60,/0/default.jpg"


def identify(line: Any) -> str | None:
    """The name of a line in pytest's output."""
    return (line.name or "always") if isinstance(line, Line) else None
