"""The example's nginx before a server of the example's configuration: what clients see, and who answers."""

import gzip
import io
import json
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from tests.support.nginx import HOST, NGINX, OPENSSL, Answer, Nginx, running_nginx
from tests.support.paths import REPOSITORY
from tests.support.pictures import drawn_picture
from tests.support.server import ServerFactory, ServerProcess, serve_command

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="nginx or openssl is not installed"),
]

BASE = f"https://{HOST}/iiif"
NAMES = ["plain.jpg", "a/b c.jpg", "50% ü?&=+;,.jpg", "#[x]@!.jpg", "日本:x.jpg", "100%25.jpg", "default.jpg"]
SIZE = (600, 400)
CHANGING = """\
  changing:
    type: disk
    rights: http://creativecommons.org/licenses/by/4.0/
    path: {path}
    cache_for: 1
  asked:
    type: disk
    rights: http://creativecommons.org/licenses/by/4.0/
    path: {path}
"""


@dataclass(frozen=True)
class Site:
    """nginx with its server behind it."""

    nginx: Nginx
    server: ServerProcess
    changing: Path
    """Images that nginx keeps for a second, or under ``asked`` not at all."""

    def ask(self, name: str, rest: str = "info.json", profile: str = "herbarium", **options: str) -> Answer:
        identifier = f"{profile}:{quote(name, safe='')}"
        return self.nginx.ask(f"/iiif/{identifier}" + (rest and f"/{rest}"), **options)


def configuration(directory: Path) -> Path:
    """The example's, for this directory, with profiles whose answers are soon too old."""
    text = (REPOSITORY / "examples" / "production" / "config.yaml").read_text()
    for theirs, ours in {
        "/var/cache/iiif-server": f"{directory}/cache",
        "/srv/images": f"{directory}/images",
        "image_pool_size: 4": "image_pool_size: 1",
    }.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    path = directory / "config.yaml"
    path.write_text(text + CHANGING.format(path=directory / "changing"))
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    for name in NAMES:
        path = directory / "images" / "herbarium" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn_picture(*SIZE).save(path, "JPEG")
    (directory / "changing").mkdir()
    return directory


@pytest.fixture(scope="module")
def site(images: Path, module_server: ServerFactory) -> Iterator[Site]:
    server = module_server.command(serve_command("--config", str(configuration(images))))
    assert server.port is not None
    with running_nginx(images / "nginx", server.port) as nginx:
        yield Site(nginx, server, images / "changing")


@pytest.mark.parametrize("name", NAMES)
def test_names_arrive_as_they_were_sent(site: Site, name: str) -> None:
    """And the addresses in documents and headers are those that clients can ask for."""
    info = json.loads(site.ask(name).body)
    answer = site.ask(name, "0,0,300,200/150,/0/default.jpg")
    canonical = answer.headers["Link"].partition(">")[0].removeprefix("<")

    assert (info["width"], info["height"]) == SIZE
    assert info["id"].startswith(f"{BASE}/herbarium:")
    assert canonical == f"{info['id']}/0,0,300,200/150,100/0/default.jpg"
    assert Image.open(io.BytesIO(answer.body)).size == (150, 100)
    again = site.nginx.ask(canonical.removeprefix(f"https://{HOST}"))
    assert (again.status, again.body) == (200, answer.body)
    assert json.loads(site.nginx.ask(f"{info['id'].removeprefix(f'https://{HOST}')}/info.json").body) == info


def test_both_versions_have_their_addresses_below_the_prefix(site: Site) -> None:
    for number, key in ((2, "@id"), (3, "id")):
        answer = site.nginx.ask(f"/iiif/iiif/{number}/herbarium:plain.jpg/info.json")
        assert json.loads(answer.body)[key] == f"{BASE}/iiif/{number}/herbarium:plain.jpg"


def test_redirects_lead_to_addresses_of_nginx(site: Site) -> None:
    answer = site.ask("a/b c.jpg", "")

    assert answer.status == 303
    assert answer.headers["Location"] == f"{BASE}/herbarium:a%2Fb%20c.jpg/info.json"
    plain = site.nginx.ask_plainly("/iiif/herbarium:a%2Fb/info.json?x=1")
    assert (plain.status, plain.headers["Location"]) == (301, f"{BASE}/herbarium:a%2Fb/info.json?x=1")


def test_a_client_that_says_where_it_is_poisons_nothing(site: Site) -> None:
    """Neither its own answer nor, by the cache, those of others."""
    lies = {
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Proto": "gopher",
        "X_Forwarded_Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=http",
        "X_Original_URL": "/herbarium:default.jpg/info.json",
    }
    for rest in ("info.json", "full/77,/0/default.jpg", ""):
        first = site.ask("plain.jpg", rest, **lies)
        second = site.ask("plain.jpg", rest)
        assert first.status == second.status
        for answer in (first, second):
            body = answer.body.decode("utf-8", "ignore")
            told = f"{answer.headers}{body}"
            assert "evil" not in told
            assert "gopher" not in told
            assert f"{BASE}/herbarium:plain.jpg" in told


def test_a_host_that_nobody_was_told_of_gets_no_answer(site: Site) -> None:
    with pytest.raises(ConnectionResetError):
        site.nginx.ask_plainly("/iiif/herbarium:plain.jpg/info.json", host="evil.example")
    with pytest.raises(ssl.SSLError):
        site.nginx.secured("evil.example")
    with pytest.raises(ConnectionResetError):
        site.ask("plain.jpg", Host="evil.example")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/iiif",
        "/herbarium:plain.jpg/info.json",
        "//iiif/herbarium:plain.jpg/info.json",
        "/x/../iiif/herbarium:plain.jpg/info.json",
        "/iiif/../herbarium:plain.jpg/info.json",
        "/iiif/%2e%2e/%2e%2e/etc/passwd",
        "/iiif/herbarium:..%2f..%2fconfig.yaml/info.json",
        "/iiif/..%2f..%2fconfig.yaml",
    ],
)
def test_other_addresses_are_none(site: Site, path: str) -> None:
    answer = site.nginx.ask(path)

    assert answer.status in (400, 404)
    assert b"profiles" not in answer.body


@pytest.mark.parametrize(
    "path", ["status", "%73tatus", "health", "metrics", "x/../metrics", "/status", "./status"]
)
def test_what_is_for_the_operator_is_for_this_machine(site: Site, path: str) -> None:
    """However it is written. Another loopback address stands for the rest of the world."""
    assert site.nginx.ask(f"/iiif/{path}", source="127.0.0.2").status == 403
    assert site.nginx.ask(f"/iiif/{path}").status != 403


def test_the_second_request_does_not_reach_the_server(site: Site) -> None:
    """Whole, in part, its headers alone, or not modified: with every header that the server gave."""
    rest = "0,0,256,256/max/0/default.jpg"
    first = site.ask("plain.jpg", rest)
    tag = first.headers["ETag"]
    site.server.process.send_signal(signal.SIGSTOP)
    try:
        second = site.ask("plain.jpg", rest)
        part = site.ask("plain.jpg", rest, Range="bytes=10-19")
        same = site.ask("plain.jpg", rest, If_None_Match=tag)
        head = site.ask("plain.jpg", rest, method="HEAD")
    finally:
        site.server.process.send_signal(signal.SIGCONT)

    assert (first.status, first.cache) == (200, "MISS")
    assert (second.status, second.cache, second.body) == (200, "HIT", first.body)
    assert (part.status, part.cache, part.body) == (206, "HIT", first.body[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(first.body)}"
    assert (same.status, same.cache, same.body) == (304, "HIT", b"")
    assert (head.status, head.cache, head.body) == (200, "HIT", b"")
    varying = {"date", "x-cache-status", "x-request-id", "connection"}
    for answer in (second, head):
        told = [(name, value) for name, value in answer.headers.items() if name.lower() not in varying]
        assert sorted(told) == sorted((n, v) for n, v in first.headers.items() if n.lower() not in varying)
    for answer in (first, second, same):
        assert answer.headers["Cache-Control"] == "max-age=86400"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["ETag"] == tag


def test_a_part_may_be_asked_for_first(site: Site) -> None:
    part = site.ask("plain.jpg", "0,0,200,200/max/0/default.jpg", Range="bytes=0-1")

    assert (part.status, part.body) == (206, b"\xff\xd8")
    assert site.ask("plain.jpg", "0,0,200,200/max/0/default.jpg").cache == "HIT"


def test_each_variant_of_a_document_is_kept_by_itself(site: Site) -> None:
    """By type and coding; whoever asks for what comes first."""
    wanted = [
        {},
        {"Accept": "application/json"},
        {"Accept": "application/ld+json"},
        {"Accept_Encoding": "gzip"},
        {"Accept_Encoding": "deflate"},
        {"Accept": "application/json", "Accept_Encoding": "gzip, br"},
        {"Accept": 'application/ld+json;profile="http://iiif.io/api/image/2/context.json"'},
    ]
    first = [site.ask("default.jpg", **headers) for headers in wanted]
    second = [site.ask("default.jpg", **headers) for headers in reversed(wanted)][::-1]

    assert [answer.cache for answer in second] == ["HIT"] * len(wanted)
    assert [answer.body for answer in second] == [answer.body for answer in first]
    kinds = [
        (answer.headers["Content-Type"].split(";")[0], answer.headers["Content-Encoding"])
        for answer in second
    ]
    ld, plain = "application/ld+json", "application/json"
    assert kinds[:6] == [
        (ld, None),
        (plain, None),
        (ld, None),
        (ld, "gzip"),
        (ld, "deflate"),
        (plain, "gzip"),
    ]
    assert json.loads(gzip.decompress(second[3].body)) == json.loads(second[0].body)
    assert json.loads(second[6].body)["@context"].endswith("/image/2/context.json")
    assert len({answer.headers["ETag"] for answer in second[:6]}) == 5
    for answer in second:
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_preflight_is_answered(site: Site) -> None:
    answer = site.ask("plain.jpg", method="OPTIONS", Origin="https://viewer.example")

    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")


def test_a_changed_image_is_seen_when_its_time_is_over(site: Site) -> None:
    """Not before; an unchanged one is not sent again by the server."""
    path = site.changing / "image.png"
    drawn_picture(60, 40).save(path)
    first = site.ask("image.png", "full/max/0/default.png", "changing")
    time.sleep(2.1)
    unchanged = site.ask("image.png", "full/max/0/default.png", "changing", If_None_Match='"something older"')
    again = site.ask("image.png", "full/max/0/default.png", "changing")
    drawn_picture(30, 20).save(path)
    time.sleep(2.1)
    changed = site.ask("image.png", "full/max/0/default.png", "changing")
    path.unlink()
    time.sleep(2.1)
    gone = site.ask("image.png", "full/max/0/default.png", "changing")

    assert [first.cache, unchanged.cache, again.cache, changed.cache] == [
        "MISS",
        "REVALIDATED",
        "HIT",
        "EXPIRED",
    ]
    assert again.body == first.body
    assert unchanged.body == first.body
    assert Image.open(io.BytesIO(changed.body)).size == (30, 20)
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert (gone.status, gone.cache, gone.headers["Cache-Control"]) == (404, "EXPIRED", "no-store")


@pytest.mark.parametrize("profile", ["herbarium", "asked"])
def test_a_copy_that_nginx_knows_nothing_of_is_current(site: Site, profile: str) -> None:
    """The server says so, by either condition, and that answer is kept for nobody: it has no image in it."""
    drawn_picture(60, 40).save(site.changing / "plain.jpg")
    rest = "full/55,/0/default.jpg"
    path = f"/{profile}:plain.jpg/{rest}"
    with urllib.request.urlopen(site.server.url + path, timeout=10) as direct:
        tag, modified, body = direct.headers["ETag"], direct.headers["Last-Modified"], direct.read()
    for condition in ({"If_None_Match": tag}, {"If_Modified_Since": modified}):
        answer = site.ask("plain.jpg", rest, profile, **condition)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    for _ in range(2):
        answer = site.ask("plain.jpg", rest, profile)
        assert (answer.status, answer.body) == (200, body)
    assert answer.cache == ("HIT" if profile == "herbarium" else "MISS")
    assert site.ask("plain.jpg", rest, profile, If_None_Match='"other"').body == body


def test_without_cache_for_nothing_is_kept(site: Site) -> None:
    drawn_picture(60, 40).save(site.changing / "asked.png")
    answers = [site.ask("asked.png", "full/max/0/default.png", "asked") for _ in range(3)]

    assert [answer.cache for answer in answers] == ["MISS"] * 3
    assert {answer.headers["Cache-Control"] for answer in answers} == {"max-age=0"}
    current = site.ask(
        "asked.png", "full/max/0/default.png", "asked", If_None_Match=answers[0].headers["ETag"]
    )
    assert (current.status, current.headers["Cache-Control"]) == (304, "max-age=0")


@pytest.mark.parametrize(
    "rest", ["full/0,/0/default.jpg", "full/max/0/default.xyz", "9999,0,1,1/max/0/default.jpg"]
)
def test_errors_are_not_kept(site: Site, rest: str) -> None:
    answers = [site.ask("plain.jpg", rest) for _ in range(2)]

    assert [(answer.status, answer.cache) for answer in answers] == [(400, "MISS")] * 2
    assert answers[1].headers["Cache-Control"] == "no-store"


def test_a_server_that_is_gone(images: Path, server: ServerFactory, tmp_path: Path) -> None:
    """What is kept is answered, also if it is too old, and the rest with 503 and the headers of an error."""
    drawn_picture(60, 40).save(images / "changing" / "stays.png")
    behind = server.command(serve_command("--config", str(configuration(images))))
    assert behind.port is not None
    with running_nginx(tmp_path / "nginx", behind.port) as nginx:
        site = Site(nginx, behind, images / "changing")
        old = site.ask("stays.png", "full/max/0/default.png", "changing")
        fresh = site.ask("plain.jpg", "full/99,/0/default.jpg")
        behind.terminate()
        time.sleep(2.1)
        stale = site.ask("stays.png", "full/max/0/default.png", "changing")
        missing = site.ask("plain.jpg", "full/98,/0/default.jpg")

        assert site.ask("plain.jpg", "full/99,/0/default.jpg").body == fresh.body
        assert (stale.status, stale.cache, stale.body) == (200, "STALE", old.body)
        assert missing.status == 503
        assert (missing.headers["Retry-After"], missing.headers["Cache-Control"]) == ("5", "no-store")
        assert missing.headers["Access-Control-Allow-Origin"] == "*"


def test_nginx_finds_no_fault_with_it(images: Path, site: Site) -> None:
    """Its own check, with warnings; and it had nothing to complain about while the other tests ran."""
    assert NGINX is not None
    directory = images / "nginx"
    command = [NGINX, "-t", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stderr
    problems = [line for line in told.splitlines() if "[warn]" in line and '"user" directive' not in line]

    assert problems == []
    assert "[crit]" not in (directory / "error.log").read_text()
