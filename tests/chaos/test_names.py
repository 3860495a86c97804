"""No name leads out of the directory of images, however it is written, at any address."""

from collections.abc import Iterator
from itertools import product

import pytest

from tests.chaos.raw import RawClient
from tests.chaos.site import SECRET, Site

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

_UP = (
    *("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%25252e%25252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae"),
    *("...", "....", "..;", "..%00", "%2e%2e%00", "%u002e%u002e", "%EF%BC%8E%EF%BC%8E", "%E2%80%A5", "..%20"),
)
_SLASHES = (
    *(
        "%2F",
        "%2f",
        "/",
        "%5C",
        "\\",
        "%252F",
        "%255c",
        "%c0%af",
        "%e0%80%af",
        "%EF%BC%8F",
        "%2F%2F",
        "%2F.%2F",
    ),
    *("%2F%00", "//", ":", "%3A"),
)
_GOALS = ("images-private", SECRET)
_WHOLE = (
    *("%2Fetc%2Fpasswd", "/etc/passwd", "//etc/passwd", "%2F%2Fetc%2Fpasswd", "file:%2F%2F%2Fetc%2Fpasswd"),
    *(
        "%2Fproc%2Fself%2Fenviron",
        "%2Fdev%2Fzero",
        "%2Fdev%2Fstdin",
        "C:%5Cwindows%5Cwin.ini",
        "%5C%5Chost%5Cshare",
    ),
    *(
        "~root",
        "~",
        "$HOME",
        "%24HOME",
        "`id`",
        "$(id)",
        "|id",
        "%7Cid",
        "*",
        "%3F",
        "one.jpg%00",
        "one.jpg%00.png",
    ),
    *(
        ".",
        "..",
        "%2e",
        "%2e%2e",
        "...",
        "sub",
        "sub%2F",
        "%2Fone.jpg",
        "sub%2F%2Fsmall.png",
        "sub%2F.%2Fsmall.png",
    ),
    *(
        "sub%2F..%2Fone.jpg",
        ".hidden.png",
        "%2Ehidden.png",
        "leaving.png",
        "relative.png",
        "folder%2Fsecret.png",
    ),
    *(
        "folder%2Fsecret.txt",
        "folder",
        "dangling.png",
        "loop.png",
        "one.jpg%2F",
        "one.jpg%2F..%2Ftwo.png",
        "one.jpg%20",
    ),
    *(
        "%FF",
        "%C3",
        "%ED%A0%80",
        "%F4%90%80%80",
        "one.jpg%0A",
        "%0Done.jpg",
        "one.jpg%7F",
        "%E2%80%AEgpj.eno",
    ),
    *(
        "x" * 1025,
        "%78" * 1025,
        "sub%2F" * 300 + "x",
        "%",
        "%2",
        "%zz",
        "files:files:one.jpg",
        ":one.jpg",
        "secret.png",
    ),
)


def payloads(site: Site) -> Iterator[str]:
    """Ways to write what lies outside."""
    for up, slash, goal, start in product(_UP, _SLASHES, _GOALS, ("", "sub")):
        lead = f"{start}{slash}{up}{slash}" if start else f"{up}{slash}"
        yield f"{lead}{goal}{slash}secret.png"
    yield from _WHOLE
    outside = str(site.root / "images-private" / "secret.png")
    yield from (outside, outside.replace("/", "%2F"), f"{site.root}/images/one.jpg".replace("/", "%2F"))


FORMS = (
    "/iiif/3/files:{}/info.json",
    "/{}/full/max/0/default.png",
    "/files:{}/original",
    "/originals?identifiers=files:{}",
    "/static/{}",
)


def test_no_name_leads_out(shared_site: Site, client: RawClient) -> None:
    """A thousand names at five addresses: nothing there, or no name at all, and not a byte from outside."""
    names = list(dict.fromkeys(payloads(shared_site)))
    assert len(names) > 1000
    for number, name in enumerate(names):
        # The first forty and all odd ones everywhere, the rest of the product in turns.
        everywhere = number < 40 or number >= len(names) - len(_WHOLE) - 3
        for form in FORMS if everywhere else (FORMS[number % len(FORMS)],):
            target = form.format(name)
            answer = client.get(target)

            assert answer.status in {400, 404}, (target, answer)
            assert answer.tells_nothing_of(SECRET, str(shared_site.root)) or SECRET in name, (target, answer)
            assert b"PNG" not in answer.body
            assert answer.media_type == "text/plain"
    assert client.get("/one.jpg/full/64,/0/default.png").status == 200


def test_what_leads_nowhere_is_never_listed(client: RawClient) -> None:
    """Neither hidden files nor links to folders are in the gallery."""
    page = client.get("/?profile=files")

    assert page.status == 200
    assert b"hidden" not in page.body
    assert SECRET.encode() not in page.body
