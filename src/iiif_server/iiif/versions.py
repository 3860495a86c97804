"""The versions of the Image API that are served."""

from __future__ import annotations

from iiif_server.iiif import v2, v3
from iiif_server.iiif.version import ApiVersion

VERSIONS: dict[int, ApiVersion] = {api.number: api for api in (v2.API, v3.API)}
"""Each by its number, as it stands in ``/iiif/<number>/``."""
