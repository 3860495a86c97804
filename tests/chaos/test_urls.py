"""Five thousand addresses, most of them wrong: each gets an answer that says so and nothing else."""

import random

import pytest

from tests.chaos.raw import RawClient
from tests.chaos.site import SECRET, Site

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

COUNT = 5000
_IDENTIFIERS = (
    "one.jpg",
    "files:two.png",
    "files:three.tif",
    "sub%2Fsmall.png",
    "files:nothing",
    "other:one.jpg",
    "",
)
_PREFIXES = (*[""] * 6, "/iiif/3", "/iiif/2", "/iiif/4", "/iiif", "//", "/static", "/IIIF/3")
_NUMBERS = (
    *(
        "0",
        "1",
        "16",
        "63",
        "64",
        "100",
        "640",
        "999999999",
        "1000000000",
        "9" * 5000,
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
    ),
    *(
        "",
        ".",
        "1_0",
        "%D9%A3",
        "%EF%BC%91",
        "nan",
        "inf",
        "%31",
        "00",
        "2147483648",
        "18446744073709551616",
        " ",
        "%20",
    ),
)
_WORDS = (
    *(
        "full",
        "square",
        "max",
        "^max",
        "!",
        "^",
        "pct:",
        "pct:50",
        "default",
        "color",
        "gray",
        "bitonal",
        "native",
        "90",
    ),
    *("default.jpg", "default.png", "gray.webp", "default.tif", "default.gif", "default.avif", "default.jp2"),
    *(
        "default.pdf",
        "default.php",
        "default",
        ".jpg",
        "info.json",
        "thumbnail",
        "preview",
        "original",
        "originals",
    ),
    *(
        "status",
        "metrics",
        "health",
        "favicon.ico",
        "%2F",
        "%00",
        "%0d%0aX-Evil:1",
        "%zz",
        "%",
        "..",
        ";page=2",
        "'",
        '"',
    ),
    *(
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "%u0000",
        "\xe9",
        "\udcff\udcfe",
        "a" * 2000,
        "#",
        "?",
    ),
)
_QUERIES = (
    "",
    "",
    "",
    "?",
    "?download",
    "?download=%0d%0aSet-Cookie:a=b",
    "?full=maybe",
    "?timing",
    "?x[]=%ff",
    "?a=b&&=",
)
_MEDIA_TYPES = ("text/plain", "text/html", "application/", "image/", "multipart/")


def _number(chance: random.Random) -> str:
    return chance.choice(_NUMBERS) if chance.random() < 0.1 else str(chance.randrange(700))


def _image(chance: random.Random) -> list[str]:
    """An image request, right but for some of its numbers."""
    pixels = ",".join(_number(chance) for _ in range(chance.choice((4, 4, 4, 3, 5))))
    region = chance.choice(("full", "full", "square", "square", pixels, f"pct:{pixels}"))
    sides = chance.choice(
        (f"{_number(chance)},", f",{_number(chance)}", f"{_number(chance)},{_number(chance)}")
    )
    size = chance.choice(("", "", "^", "!", "^!")) + chance.choice(
        ("max", "max", "40,", ",30", "pct:50", sides, f"pct:{_number(chance)}")
    )
    rotation = chance.choice(("", "", "!")) + chance.choice(
        ("0", "0", "0", "90", "180", "45", _number(chance))
    )
    return [chance.choice(_IDENTIFIERS), region, size, rotation, chance.choice(_WORDS[14:24])]


def _spoilt(text: str, chance: random.Random) -> str:
    """One character less, more, or another."""
    at = chance.randrange(len(text) + 1)
    return (
        text[:at]
        + chance.choice(("", "%", "/", "\0", "\x7f", ",", "é", "\udc80"))
        + text[at + chance.randrange(2) :]
    )


def targets(count: int) -> list[str]:
    """The same every time."""
    chance, found = random.Random(28), []
    for _ in range(count):
        if chance.random() < 0.8:
            parts = _image(chance)
        else:
            parts = [chance.choice(_IDENTIFIERS + _WORDS + _NUMBERS) for _ in range(chance.randrange(1, 8))]
        text = chance.choice(_PREFIXES) + "/" + "/".join(parts) + chance.choice(_QUERIES)
        found.append(_spoilt(text, chance) if chance.random() < 0.2 else text)
    return found


def test_five_thousand_addresses(shared_site: Site, client: RawClient) -> None:
    """Each is answered in time with success or a 4xx or 501, and in what a client can read."""
    statuses: dict[int, int] = {}
    for target in targets(COUNT):
        answer = client.get(target.replace(" ", "%20") if target.isprintable() else target)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1

        assert answer.status < 500 or answer.status == 501, (target, answer)
        assert answer.media_type.startswith(_MEDIA_TYPES) or answer.status in {204, 303, 304}, (
            target,
            answer,
        )
        assert answer.status == 200 or len(answer.body) < 1000
        assert answer.tells_nothing_of(SECRET, str(shared_site.root)), (target, answer)
        assert "X-Evil" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    # The generator is no good if all of one kind is wrong.
    assert statuses[200] > COUNT // 25
    assert statuses[400] > COUNT // 5
    assert statuses[404] > COUNT // 20
    assert "Traceback" not in shared_site.server.output()
