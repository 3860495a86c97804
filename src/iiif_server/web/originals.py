"""Originals: the stored files, as they are, one by one or in an archive."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from iiif_server.caches.derivative import FileSlice
from iiif_server.iiif.uri import parse_identifier
from iiif_server.services.downloads import Member
from iiif_server.services.originals import Original
from iiif_server.services.stored import pieces_of
from iiif_server.services.zips import ZipEntry, zip_length
from iiif_server.web.bodies import send_body, send_pieces
from iiif_server.web.filenames import content_disposition, safe_filename, split_suffix
from iiif_server.web.keys import SITE
from iiif_server.web.ranges import ACCEPT_RANGES
from iiif_server.web.responses import Validators, caching_headers, not_modified
from iiif_server.web.urls import raw_segments
from iiif_server.web.zip_names import entry_names, named_after
from iiif_server.web.zip_requests import read_zip_request


async def get_original(request: web.Request) -> web.StreamResponse:
    """``{id}/original``: the stored file, to be saved.

    A local one is sent by the system, in parts if so asked; of others the profile has a stream.
    """
    site = request.app[SITE]
    segment, _ = raw_segments(request, 2)
    original = await site.originals.find(parse_identifier(segment, site.profiles.default))
    validators = _validators(original)
    if validators is not None and not_modified(request, validators):
        return web.Response(status=304, headers=_caching_headers(original))
    disposition = {hdrs.CONTENT_DISPOSITION: _disposition(await original.filename())}
    if request.method == hdrs.METH_HEAD:
        headers = _headers(original) | disposition
        headers |= {hdrs.CONTENT_LENGTH: str(await original.length())}
        return web.Response(headers=headers | (ACCEPT_RANGES if original.is_lent else _NO_RANGES))
    async with site.originals.open(original) as (original, body):
        headers = _headers(original) | disposition
        validators = _validators(original)
        if isinstance(body, FileSlice) and validators is not None:
            return await send_body(request, body, validators, headers)
        return await send_pieces(request, pieces_of(body), body.length, headers)


async def get_originals(request: web.Request) -> web.StreamResponse:
    """``originals?identifiers=a,b,…``: the stored files of several images, as one zip archive.

    Its length is told unless files that fail may be left out of it.
    """
    site = request.app[SITE]
    wanted = await read_zip_request(request, site.profiles.default)
    with site.downloads.slot():
        members = await site.downloads.members(wanted.identifiers, stop_on_error=wanted.stop_on_error)
        entries = _entries(members, use_original_filenames=wanted.use_original_filenames)
        length = zip_length(entries) if wanted.stop_on_error else None
        headers: dict[str, str] = {
            hdrs.CONTENT_TYPE: "application/zip",
            hdrs.CONTENT_DISPOSITION: "attachment; filename=originals.zip",
            hdrs.CACHE_CONTROL: "no-store",
        }
        if request.method == hdrs.METH_HEAD:
            if length is not None:
                headers[hdrs.CONTENT_LENGTH] = str(length)
            return web.Response(headers=headers | _NO_RANGES)
        paired = list(zip(members, entries, strict=True))
        pieces = site.downloads.stream(paired, stop_on_error=wanted.stop_on_error)
        return await send_pieces(request, pieces, length, headers)


def _entries(members: Sequence[Member], *, use_original_filenames: bool) -> list[ZipEntry]:
    names = entry_names(
        member.filename
        if use_original_filenames
        else named_after(member.original.identifier.name, member.filename)
        for member in members
    )
    return [
        ZipEntry(name, member.length, member.original.modified)
        for name, member in zip(names, members, strict=True)
    ]


_NO_RANGES = {hdrs.ACCEPT_RANGES: "none"}


def _disposition(filename: str) -> str:
    return content_disposition("attachment", safe_filename(*split_suffix(filename)))


def _validators(original: Original) -> Validators | None:
    return None if original.key is None else Validators(original.key, original.modified)


def _caching_headers(original: Original) -> dict[str, str]:
    cache_for = original.profile.options.cache_for
    if (validators := _validators(original)) is None:
        return {hdrs.CACHE_CONTROL: f"max-age={cache_for}"}
    return caching_headers(validators, cache_for)


def _headers(original: Original) -> dict[str, str]:
    return {**_caching_headers(original), hdrs.CONTENT_TYPE: original.media_type}
