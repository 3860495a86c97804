"""The old addresses of images, by the asset ids of a system before."""

from __future__ import annotations

from iiif_server.api import NotFound, RouteAnswer, RouteRequest

from iiif_server_mss.profile import MssProfile


async def redirect(request: RouteRequest) -> RouteAnswer:
    """``/mam/{asset_id}``: 307 to the image that had this id, in the first profile that has exactly one.

    Raises:
        NotFound: none or several have it.
        ServiceUnavailable: that can't be told at the moment.
    """
    asset_id = request.parameters["asset_id"]
    names = sorted(request.profiles, key=lambda name: name != request.default_profile)
    for name in names:
        profile = request.profiles[name]
        if not isinstance(profile, MssProfile) or profile.museum is None or not asset_id.isprintable():
            continue
        count, guid = await profile.museum.guids(asset_id)
        if count == 1 and guid is not None:
            return RouteAnswer.redirect(request.image_url(name, guid), status=307)
    raise NotFound("There is no image of this asset id.", log=f"no single image of the asset id {asset_id!r}")
