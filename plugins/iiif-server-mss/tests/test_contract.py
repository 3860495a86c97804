"""Both forms of the profile keep what every profile promises."""

import pytest
from fake_museum import GUID, IRN
from iiif_server.testing import ProfileContract, draw_image, encode


class TestMuseum(ProfileContract):
    """A TIFF whose size the catalogue tells, with a JPEG derivative."""

    @pytest.fixture
    def known_image(self, services):
        image = draw_image(GUID)
        width, height = image.picture.size
        small = encode(image.picture.resize((600, 450)), "JPEG")
        services.add(
            image.original,
            width=width,
            height=height,
            derivatives={"600.jpg": (600, 450, small)},
        )
        return image

    @pytest.fixture
    def profile(self, museum):
        return museum

    @pytest.fixture
    def modify(self, services):
        def modify():
            image = draw_image(GUID, seed=1)
            original = services.files[f"{IRN}/original.tif"]
            original.body, original.modified = image.original, original.modified + 60
            if small := services.files.get(f"{IRN}/600.jpg"):
                small.body = encode(image.picture.resize((600, 450)), "JPEG")
            return image

        return modify

    @pytest.fixture
    def vanish(self, services):
        return services.documents.clear


class TestMuseumWithoutSizes(TestMuseum):
    """A catalogue that tells no sizes, and a store whose answers tell nothing of the files."""

    @pytest.fixture
    def known_image(self, services):
        image = draw_image(GUID, 1801, 1351)
        original = services.add(image.original)
        original.stamped, original.chunked, original.ranges = False, True, False
        return image


class TestPlain(ProfileContract):
    """Images behind an address."""

    @pytest.fixture
    def known_image(self, services):
        image = draw_image("known", file_format="JPEG")
        services.add(image.original, irn=0)
        services.files["known.jpg"] = services.files.pop("0/original.tif")
        return image

    @pytest.fixture
    def profile(self, iiif_profile, services):
        return iiif_profile("mss", url=f"{services.url}/images/{{name}}.jpg", info_cache_ttl=0)

    @pytest.fixture
    def modify(self, services):
        def modify():
            image = draw_image("known", seed=1, file_format="JPEG")
            services.files["known.jpg"].body = image.original
            services.files["known.jpg"].modified += 60
            return image

        return modify

    @pytest.fixture
    def vanish(self, services):
        return services.files.clear
