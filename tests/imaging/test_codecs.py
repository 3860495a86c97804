"""Which libraries are installed, and which versions of them."""

import PIL
import pytest
from PIL import features

from iiif_server.iiif.parameters import Format
from iiif_server.imaging.codecs import WRITERS, versions
from iiif_server.imaging.readers.registry import READERS


def test_every_library_has_a_version() -> None:
    """Those that readers and writers name are known."""
    named = {name for reader in READERS for name in reader.libraries}
    named |= {name for names in WRITERS.values() for name in names}
    found = versions()
    assert named <= set(found)
    assert all(found[name] for name in named)
    assert found["Pillow"] == PIL.__version__
    assert found["libtiff"] == features.version("libtiff")
    assert set(WRITERS) == set(Format)


def test_what_is_missing_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it a package, or what Pillow was built without."""
    monkeypatch.setattr("PIL.features.version", lambda _: None)
    assert versions(["no-such-package", "libwebp"]) == {"no-such-package": None, "libwebp": None}
