"""The profile keeps what every profile promises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from iiif_server.testing import KnownImage, ProfileContract, ProfileSetup, draw_image


class TestHello(ProfileContract):
    """Images in a directory of the test."""

    @pytest.fixture
    def known_image(self, tmp_path: Path) -> KnownImage:
        image = draw_image("known")
        (tmp_path / "known.tif").write_bytes(image.original)
        return image

    @pytest.fixture
    def profile(self, iiif_profile: Callable[..., ProfileSetup]) -> ProfileSetup:
        return iiif_profile("hello", images={"known": "known.tif"})

    @pytest.fixture
    def modify(self, tmp_path: Path) -> Callable[[], KnownImage]:
        def modify() -> KnownImage:
            image = draw_image("known", seed=1)
            (tmp_path / "known.tif").write_bytes(image.original)
            return image

        return modify

    @pytest.fixture
    def vanish(self, tmp_path: Path) -> Callable[[], None]:
        return (tmp_path / "known.tif").unlink

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: (tmp_path / "known.tif").write_bytes(b"no image any more")
