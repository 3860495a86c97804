"""The start page: a viewer for one image and, where the operator wants it, a gallery."""

from __future__ import annotations

from html import escape
from urllib.parse import unquote, urlencode, urlsplit

from aiohttp import hdrs, web

from iiif_server import __version__
from iiif_server.iiif.uri import Identifier, split_identifier
from iiif_server.profiles.base import ListsNames, Profile
from iiif_server.web.codings import choose_coding, coding_headers, encode
from iiif_server.web.keys import SITE, Site

_PAGE_LENGTH = 60


async def get_start_page(request: web.Request) -> web.StreamResponse:
    """``/``: the gallery, or with ``?image=<identifier>`` the viewer on that image.

    Every link is relative, so that the page works under any prefix that a proxy adds.
    """
    site = request.app[SITE]
    if image := request.query.get("image"):
        body = _viewer(image, site)
    else:
        body = await _gallery(site, request.query.get("profile"), request.query.get("after"))
    content = body.encode()
    coding = choose_coding(request, len(content))
    headers = {
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "Content-Security-Policy": _policy(site),
    }
    return web.Response(body=encode(content, coding), headers=headers | coding_headers(coding))


def _policy(site: Site) -> str:
    """A Content-Security-Policy that lets the page load its own files and this server's images only."""
    origins = "'self'"
    if site.urls.base_url is not None:
        parts = urlsplit(site.urls.base_url)
        origins += f" {parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src {origins} data:; "
        f"connect-src {origins}; base-uri 'none'; form-action 'self'; frame-ancestors *"
    )


def _page(title: str, body: str, *, scripts: tuple[str, ...] = ()) -> str:
    tags = "".join(f'<script src="static/{name}" defer></script>' for name in scripts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        '<link rel="icon" href="static/icon.svg"><link rel="stylesheet" href="static/start.css">'
        f"{tags}</head><body>{body}</body></html>\n"
    )


def _viewer(image: str, site: Site) -> str:
    identifier = _identifier(image, site)
    links = "".join(
        f'<a href="{escape(f"{identifier}/{path}")}">{text}</a>'
        for path, text in (("info.json", "info.json"), ("full/max/0/default.jpg", "full size"))
    )
    body = (
        f'<header><a class="home" href="./">iiif-server</a><h1>{escape(identifier.name)}</h1>'
        f"<nav>{links}</nav></header>"
        f'<main id="viewer" data-info="{escape(f"iiif/3/{identifier}/info.json")}"></main>'
        '<p id="message" role="alert" hidden></p>'
    )
    return _page(identifier.name, body, scripts=("openseadragon/openseadragon.min.js", "viewer.js"))


async def _gallery(site: Site, profile_name: str | None, after: str | None) -> str:
    listed = [profile for profile in site.profiles if site.gallery and isinstance(profile, ListsNames)]
    chosen = next((profile for profile in listed if profile.context.name == profile_name), None)
    if chosen is None and listed:
        chosen = listed[0]
    tabs = "".join(
        f'<a href="?{escape(urlencode({"profile": profile.context.name}))}"'
        f"{' aria-current=page' if profile is chosen else ''}>{escape(profile.context.name)}</a>"
        for profile in listed
    )
    content = await _thumbnails(chosen, after) if chosen is not None else ""
    body = (
        f'<header><a class="home" href="./">iiif-server</a><nav>{tabs if len(listed) > 1 else ""}</nav>'
        '<form><input name="image" placeholder="profile:name" aria-label="Identifier of an image" required>'
        f"<button>View</button></form></header>{content}"
        f'<footer><a href="https://iiif.io/api/image/3.0/">IIIF Image API 3.0</a> · iiif-server {__version__}'
        "</footer>"
    )
    return _page("iiif-server", body)


async def _thumbnails(profile: Profile[object], after: str | None) -> str:  # type: ignore[type-var]
    assert isinstance(profile, ListsNames)
    names = await profile.list_names(after, _PAGE_LENGTH + 1)
    if not names:
        return "<p>There are no images here.</p>"
    page = [name for name in names[:_PAGE_LENGTH] if _has_an_address(name)]
    cards = "".join(_card(Identifier(profile.context.name, name)) for name in page)
    more = ""
    if page and len(names) > _PAGE_LENGTH:
        query = urlencode({"profile": profile.context.name, "after": page[-1]})
        more = f'<p class="more"><a href="?{escape(query)}" rel="next">More</a></p>'
    return f'<main class="gallery">{cards}</main>{more}'


def _has_an_address(name: str) -> bool:
    """Not so what a file system of another time may hold: a file name that is no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _card(identifier: Identifier) -> str:
    source = escape(f"{identifier}/full/!240,240/0/default.jpg")
    link = escape("?" + urlencode({"image": unquote(str(identifier))}))
    name = escape(identifier.name)
    return (
        f'<a class="card" href="{link}"><img src="./{source}" alt="" loading="lazy"><span>{name}</span></a>'
    )


def _identifier(text: str, site: Site) -> Identifier:
    return split_identifier(text, site.profiles.default)
