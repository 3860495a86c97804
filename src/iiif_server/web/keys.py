"""What the application holds for its handlers, under typed keys."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from iiif_server.iiif.version import ApiVersion
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.documents import DocumentService
from iiif_server.services.downloads import DownloadService
from iiif_server.services.images import ImageService
from iiif_server.services.metrics import MetricsService
from iiif_server.services.monitor import Monitor
from iiif_server.services.originals import OriginalService
from iiif_server.services.status import StatusService
from iiif_server.web.urls import PublicUrls


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a handler may use.

    Attributes:
        images: makes derivatives.
        documents: makes image information documents.
        default_api: the version of the Image API that is served at the root.
        profiles: the configured profiles.
        urls: how this server is addressed from outside.
        originals: finds and opens stored files.
        downloads: packs them.
        gallery: whether the start page lists images.
        status: tells operators how everything is.
        monitor: what the parts of the server count.
        metrics: what Prometheus reads.
        thumbnail_width: of thumbnails at most, in pixels.
        preview_width: of previews at most, in pixels.
    """

    images: ImageService
    documents: DocumentService
    default_api: ApiVersion
    profiles: ProfileRegistry
    urls: PublicUrls
    originals: OriginalService
    downloads: DownloadService
    gallery: bool
    status: StatusService
    monitor: Monitor
    metrics: MetricsService
    thumbnail_width: int
    preview_width: int


SITE = web.AppKey("site", Site)
