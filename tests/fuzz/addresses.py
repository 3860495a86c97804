"""What stands in addresses and headers: identifiers, parameters, conditions, ranges, hosts, names."""

import asyncio
import re
import unicodedata
from datetime import UTC, datetime
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from iiif_server.errors import InvalidRequest, UnsupportedFeature
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.iiif.uri import MAX_IDENTIFIER_LENGTH, Identifier, decode_segment, parse_identifier
from iiif_server.iiif.version import ApiVersion
from iiif_server.iiif.versions import VERSIONS
from iiif_server.web.filenames import MAX_BYTES, content_disposition
from iiif_server.web.negotiation import coding_qualities, prefers, quality_of
from iiif_server.web.ranges import requested_range
from iiif_server.web.responses import Validators, not_modified
from iiif_server.web.urls import PublicUrls
from iiif_server.web.zip_names import entry_names
from iiif_server.web.zip_requests import read_zip_request
from tests.fuzz.target import Target
from tests.iiif.strategies import images, limits


def pieces(text: str, *more: str, most: int = 12) -> st.SearchStrategy[str]:
    """Texts put together from words and a little of anything."""
    word = st.sampled_from([*text.split(), *more])
    return st.lists(word | st.text(max_size=3), max_size=most).map("".join)


segments = pieces(
    """%2F %2f / \\ .. . %2e %2E%2e %252F %00 %0A %0d%0a %7F %C0%AE %FF %ED%A0%80 %F4%90%80%80 % %2 %zz %u002f
    : :: ; ;page= ;page=2 ;page=00 = , ? # files default a é ☃ %C3%A9 %E2%80%AE 99999 999999""",
    *("", " ", "\0", "\n", "\u202e", "\ud800", "x" * 1024),
)
numbers = st.integers(0, 10**9).map(str) | st.sampled_from(
    [
        "",
        "0",
        "00",
        "1",
        "512",
        ".5",
        "0.",
        "1e3",
        "-1",
        "+1",
        "1_0",
        "٣",
        "１",
        "9" * 30,
        "0.00000000000000000001",
    ]
)
regions = st.sampled_from(["full", "square", "max"]) | st.tuples(
    st.sampled_from(["", "pct:", "%70ct:"]), st.lists(numbers, min_size=3, max_size=5).map(",".join)
).map("".join)
sizes = st.tuples(
    st.sampled_from(["", "^", "!", "^!", "!^"]),
    st.sampled_from(["max", "full", ""]) | st.lists(numbers, min_size=1, max_size=3).map(",".join),
).map("".join) | st.tuples(st.sampled_from(["pct:", "^pct:"]), numbers).map("".join)
rotations = st.tuples(st.sampled_from(["", "!", "!!"]), numbers).map("".join)
ends = pieces("default color gray bitonal native . jpg png tif webp gif avif jp2 pdf jpeg", most=4)


def identifiers(value: tuple[str, str | None]) -> None:
    """A segment is an identifier that is read back as it was, or a 400."""
    segment, default = value
    try:
        found = parse_identifier(segment, default)
    except InvalidRequest as error:
        assert error.public.isprintable()
        return
    assert parse_identifier(str(found), None) == found
    assert str(found).isascii()
    assert "/" not in str(found)
    assert len(found.name) <= MAX_IDENTIFIER_LENGTH
    assert not any(unicodedata.category(each) == "Cc" for each in found.name + found.profile)


def image_requests(value: tuple[tuple[str, str, str, str], ApiVersion, Dimensions, Limits]) -> None:
    """Four segments are an operation within the image and the limits, or an error with a text."""
    texts, api, image, limit = value
    try:
        parameters = parse_image_parameters(*map(decode_segment, texts), size_parser=api.parse_size)
        operation = resolve(parameters, image, limit)
    except (InvalidRequest, UnsupportedFeature) as error:
        assert len(error.public) < 300
        assert error.public.isprintable()
        return
    region, size = operation.region, operation.size
    assert 0 <= region.x < region.x + region.width <= image.width
    assert 0 <= region.y < region.y + region.height <= image.height
    assert min(size) > 0
    assert limit.allow(size)
    assert limit.any or not operation.upscales
    assert 0 <= operation.rotation.degrees < 360
    again = parse_image_parameters(*api.canonical(operation, limit).split("/"), size_parser=api.parse_size)
    assert resolve(again, image, limit) == operation


VALIDATORS = Validators("tag", datetime(2026, 3, 1, 12, 30, 15, 750_000, UTC).timestamp())
HEADERS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range")
header_values = pieces(
    """Mon, Sun, 01 31 99 Jan Mar Dec 2026 1970 0 99999999999999999999 12:30:15 25:61:61 99999999999:0:0 GMT
    +0000 -9999 "tag" W/"tag" "tag * , " bytes= bytes=0-0 bytes=-1 bytes=- 0-1,2-3 18446744073709551616-""",
    *(" ", "\t", "\xff", "Sun, 01 Mar 2026 12:30:15 GMT"),
)
headers = st.dictionaries(st.sampled_from(HEADERS), header_values)


def conditions(value: tuple[str, dict[str, str], int]) -> None:
    """Any headers lead to the whole, a part of it, 304, 412 or 416."""
    method, fields, total = value
    request = make_mocked_request(method, "/", headers=CIMultiDict(fields))
    try:
        confirmed = not_modified(request, VALIDATORS)
        part = requested_range(request, VALIDATORS, total)
    except (web.HTTPPreconditionFailed, web.HTTPRequestRangeNotSatisfiable):
        return
    assert isinstance(confirmed, bool)
    assert part is None or 0 <= part.start < part.stop <= total


accepts = pieces(
    """application/json application/ld+json image/* */* * / text/plain gzip deflate identity x-gzip ; , ;q=
    q=0 q=1 q=0.5 q=nan q=inf q=-1 q=1e999 ;q=٣ profile="a;b,c" """,
    *(" ", '"', ";q=" + "1" * 400),
)


def negotiation(value: tuple[str, str, str]) -> None:
    """A header gives each choice a worth from 0 to 1, and prefers one of two at most."""
    accept, one, other = value
    assert 0 <= quality_of(accept, one) <= 1
    assert not (prefers(accept, one, over=other) and prefers(accept, other, over=one))
    qualities = coding_qualities(accept, ["gzip", "deflate"])
    assert set(qualities) == {"gzip", "deflate", "identity"}
    assert all(0 <= quality <= 1 for quality in qualities.values())


hosts = pieces(
    """localhost example.org 127.0.0.1 [::1] [ ] : :80 :999999 @ / \\ // ? # .. http https ftp , x_y ü %00
    ::ffff:1.2.3.4
    fe80::1%eth0 10.0.0.1 0x7f.1""",
    *(" ", '"', "<script>", "\udcff"),
)
PROXIES = PublicUrls(None, (ip_network("127.0.0.0/8"), ip_network("::1")))


def hosts_and_proxies(value: tuple[str, str | None, dict[str, str]]) -> None:
    """What a host or a proxy says becomes an address of ordinary characters, or a 400."""
    host, remote, fields = value
    request = SimpleNamespace(scheme="http", host=host, remote=remote, headers=CIMultiDict(fields))
    assert PROXIES.client(cast(web.Request, request)).isprintable() or not remote
    try:
        base = PROXIES.base(cast(web.Request, request))
    except InvalidRequest:
        return
    assert re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~-]+)*", base)


DISPOSITION = re.compile(r"attachment; filename=\"([ !#-~]+)\"(?:; filename\*=UTF-8''([!-~]+))?", re.ASCII)
names = pieces(
    """.. . / \\ a A a.tif A.TIF con CON.txt nul lpt1 ~ $HOME .tar.gz ﬁ fi é é ☃ ß SS ª (2) a (2).tif
    %00 %2F " * ? < > | : ; = ' \u200d 👩‍💻 \u202e gpj.exe""",
    *(" ", "\0", "\n", "\r", "\t", "\x7f", "\ud800", "\u202e", "x" * 300, "é" * 200),
)


def zip_names(value: list[str]) -> None:
    """Any names become safe, short and distinct ones, and headers that say them and nothing else."""
    found = entry_names(value)
    assert len(found) == len(value)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in found}) == len(found)
    for name in found:
        assert not re.search(r"[/\\:*?\"<>|\x00-\x1f\x7f]", name)
        assert not name.startswith((".", " "))
        assert 0 < len(name.encode()) <= MAX_BYTES
        match = DISPOSITION.fullmatch(content_disposition("attachment", name))
        assert match
        assert unquote(match[2] or match[1], errors="strict") == name


queries = pieces(
    """identifiers= identifiers=a,b files:a.jpg , & = ; + %2C %26 %00 %zz % stop_on_error=no
    use_original_filenames=maybe x=""",
    *(",a" * 50, "\udcff", "é"),
)
json_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | segments,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["identifiers", "stop_on_error", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=60),
    queries.map(lambda text: text.encode("utf-8", "surrogateescape" if text.isprintable() else "replace")),
    json_bodies.map(lambda document: str(document).replace("'", '"').encode("utf-8", "replace")),
    st.sampled_from([b"[" * 100_000, b'{"identifiers":["a"]}', b'{"identifiers":["\\ud800"]}', b"1" * 5000]),
)


class _Posted(SimpleNamespace):
    """As much of a request as is read of it."""

    async def read(self) -> bytes:
        return cast(bytes, self.body)


def zip_requests(value: tuple[str, str, str, bytes]) -> None:
    """A query and a body are a list of identifiers, or a 4xx."""
    method, query, content_type, body = value
    url = URL.build(path="/originals", query_string=query, encoded=True)
    request: Any = _Posted(rel_url=url, query=url.query, method=method, content_type=content_type, body=body)
    try:
        found = asyncio.run(read_zip_request(request, "files"))
    except InvalidRequest:
        return
    except web.HTTPException as error:
        assert error.status < 500
        return
    assert all(isinstance(each, Identifier) for each in found.identifiers)


forwarded = st.dictionaries(
    st.sampled_from(["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-For"]), hosts
)
kinds = st.sampled_from(["application/json", "application/ld+json", "text/plain", "image/jpeg"])
TARGETS = [
    Target(identifiers, st.tuples(segments, st.none() | st.just("files"))),
    Target(
        image_requests,
        st.tuples(
            st.tuples(regions | segments, sizes | segments, rotations | segments, ends),
            st.sampled_from(list(VERSIONS.values())),
            images,
            limits,
        ),
    ),
    Target(conditions, st.tuples(st.sampled_from(["GET", "HEAD"]), headers, st.integers(0, 2**40))),
    Target(negotiation, st.tuples(accepts, kinds, kinds)),
    Target(
        hosts_and_proxies,
        st.tuples(
            hosts, st.none() | st.sampled_from(["127.0.0.1", "::1", "10.0.0.1", "", "unix:"]), forwarded
        ),
    ),
    Target(zip_names, st.lists(names, max_size=6)),
    Target(
        zip_requests,
        st.tuples(
            st.sampled_from(["GET", "POST"]),
            queries,
            st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"]),
            bodies,
        ),
    ),
]
