"""Everything a plugin may import, and all it needs: the stable face of the server.

Re-exports only. Whatever is not here may change without notice.
"""

from iiif_server.caches.sources.fetcher import Fetch
from iiif_server.caches.sources.records import Fetched, NotModified, SourceRecord, StoredSource
from iiif_server.caches.sources.store import KeepsSources, SourceStore
from iiif_server.caches.sources.writer import SourceWriter
from iiif_server.errors import (
    IIIFServerError,
    ImageNotFound,
    InvalidRequest,
    NotFound,
    ServerBusy,
    SourceTooLarge,
    UnreadableSource,
    UpstreamFailed,
    UpstreamTimeout,
)
from iiif_server.hookspecs import hookimpl
from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.source_formats import SOURCE_FORMATS, SourceFormat, recognise_source
from iiif_server.imaging.tasks import SourceProperties
from iiif_server.profiles.base import (
    ImageInfo,
    LendsOriginals,
    ListsNames,
    Probe,
    Profile,
    ProfileContext,
    ProfileType,
)
from iiif_server.profiles.files import FileProfile, file_version
from iiif_server.profiles.options import ByteSize, ProfileOptions
from iiif_server.routes import Route, RouteAnswer, RouteRequest

__all__ = [
    "SOURCE_FORMATS",
    "ByteSize",
    "Dimensions",
    "Fetch",
    "Fetched",
    "FileProfile",
    "IIIFServerError",
    "ImageInfo",
    "ImageNotFound",
    "InvalidRequest",
    "KeepsSources",
    "LendsOriginals",
    "ListsNames",
    "NotFound",
    "NotModified",
    "Probe",
    "Profile",
    "ProfileContext",
    "ProfileOptions",
    "ProfileType",
    "Route",
    "RouteAnswer",
    "RouteRequest",
    "ServerBusy",
    "SourceFormat",
    "SourceProperties",
    "SourceRecord",
    "SourceStore",
    "SourceTooLarge",
    "SourceWriter",
    "StoredSource",
    "UnreadableSource",
    "UpstreamFailed",
    "UpstreamTimeout",
    "file_version",
    "hookimpl",
    "recognise_source",
]
