"""The profile keeps what every profile promises, in both of its manners."""

import pytest
from http_origin import image

from iiif_server.testing import KnownImage, ProfileContract, draw_image

SIZE = (1601, 1301)
"""Large enough for the test of memory to see the file, and not the buffers that any transfer has."""


class TestByTemplate(ProfileContract):
    """Names are put into a URL; the origin has strong ETags."""

    name = "known"
    path = "/known"

    @pytest.fixture
    def known_image(self, origin):
        drawn = draw_image(self.name, *SIZE)
        origin.pages[self.path] = image(drawn.original, '"1"')
        return drawn

    @pytest.fixture
    def profile(self, http_profile):
        return http_profile()

    @pytest.fixture
    def modify(self, origin, known_image):
        def modify():
            drawn = draw_image(known_image.name, *SIZE, seed=1)
            origin.pages[self.path] = image(drawn.original, '"2"')
            return drawn

        return modify

    @pytest.fixture
    def vanish(self, origin):
        return lambda: origin.pages.pop(self.path)


class TestByAllowList(ProfileContract):
    """Names are URLs; the origin has no validators at all."""

    @pytest.fixture
    def unknown_name(self, origin):
        return f"{origin.url}/pub/none"

    @pytest.fixture
    def known_image(self, origin):
        drawn = draw_image(f"{origin.url}/pub/known", *SIZE)
        origin.pages["/pub/known"] = image(drawn.original)
        return drawn

    @pytest.fixture
    def profile(self, http_profile, origin):
        return http_profile(allow=[f"{origin.url}/pub/"])

    @pytest.fixture
    def modify(self, origin, known_image):
        def modify():
            drawn = draw_image("known", *SIZE, seed=1)
            origin.pages["/pub/known"] = image(drawn.original)
            return KnownImage(known_image.name, drawn.picture, drawn.original)

        return modify

    @pytest.fixture
    def vanish(self, origin):
        return lambda: origin.pages.pop("/pub/known")
