"""Range requests (RFC 9110 section 14): one stretch of bytes out of a body whose length is known."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from iiif_server.web.responses import Validators, condition_date, whole_second

ACCEPT_RANGES: Final = {hdrs.ACCEPT_RANGES: "bytes"}
"""What an answer says whose body may be asked for in parts."""

# The unit in any case, then first-last, first- or -last; bounded length before int().
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.ASCII | re.IGNORECASE)


class ByteRange(NamedTuple):
    """A stretch of a body.

    Attributes:
        start: the offset of its first byte.
        length: how many bytes; 0 if the body has none of those that were asked for.
    """

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The offset after its last byte."""
        return self.start + self.length


def parse_range(header: str, total: int) -> ByteRange | None:
    """Read a Range header against a body of ``total`` bytes.

    aiohttp's ``request.http_range`` knows no length: to it ``bytes=-0``, which no body satisfies, is the same
    as ``bytes=0-``, which every body does.

    Returns:
        the one range that is asked for, cut at the body's end; ``None`` if the whole body is the answer,
        because the header is malformed, of another unit or of several ranges (which section 14.2 allows to
        ignore), or because the body is empty and has no range to give.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or total == 0:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), total)
        return ByteRange(total - length, length)
    start, stop = int(first), int(last) + 1 if last else total
    if stop <= start and last:
        return None  # section 14.1.1: a range that ends before it starts is invalid, not unsatisfiable
    return ByteRange(start, max(0, min(stop, total) - start))


def requested_range(request: web.Request, validators: Validators, total: int) -> ByteRange | None:
    """The range of a body of ``total`` bytes that a request is to be answered with; ``None`` for all of it.

    To be asked after the other conditions, which come first (section 13.2.2).

    Raises:
        web.HTTPRequestRangeNotSatisfiable: the body has none of the bytes that were asked for.
    """
    if hdrs.RANGE not in request.headers or request.method != hdrs.METH_GET:
        return None
    headers = request.headers.getall(hdrs.RANGE)
    if len(headers) > 1 or not _if_range(request, validators):
        return None
    wanted = parse_range(headers[0].strip(" \t"), total)
    if wanted is not None and not wanted.length:
        raise web.HTTPRequestRangeNotSatisfiable(headers={hdrs.CONTENT_RANGE: f"bytes */{total}"})
    return wanted


def content_range(part: ByteRange, total: int) -> str:
    """The Content-Range header of a 206 (section 14.4)."""
    return f"bytes {part.start}-{part.stop - 1}/{total}"


def _if_range(request: web.Request, validators: Validators) -> bool:
    """Tell whether the client's other parts are of this very body (section 13.1.5).

    An entity tag has to be the same and strong. A date has to be the Last-Modified exactly.
    """
    header = request.headers.get(hdrs.IF_RANGE)
    if header is None:
        return True
    date = condition_date(request, "if_range")
    if date is None:
        return header.strip(" \t") == f'"{validators.etag}"'
    return validators.modified is not None and date == whole_second(validators.modified)
