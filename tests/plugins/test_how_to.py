"""The code in the how-to guides for profiles keeps the part of the contract that it is about."""

import importlib.util
import re

import pytest

import iiif_server.api
from iiif_server.api import ImageNotFound, ProfileType, ServerBusy, UnreadableSource
from iiif_server.errors import ConfigurationError
from iiif_server.testing import draw_image
from iiif_server.testing.contract import (
    InfosContract,
    LifecycleContract,
    ListingContract,
    NamesContract,
    OptionsContract,
    OriginalsContract,
)
from tests.support.paths import REPOSITORY

HOW_TO = REPOSITORY / "docs" / "how-to"
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

needs_the_example = pytest.mark.skipif(
    importlib.util.find_spec("iiif_server_hello") is None,
    reason="examples/plugin-hello is not installed here: tox -e plugins",
)


def profile_type(page):
    """The example's profile with what a page adds: its code is run where the example's own is known."""
    import iiif_server_hello as example

    class Extended:
        def __class_getitem__(cls, _):
            return example.HelloProfile

    code = CODE.search((HOW_TO / page).read_text())
    assert code is not None
    names = {**vars(example), "Extended": Extended}
    exec(re.sub(r"\bFileProfile\[", "Extended[", code[1]), names)
    return ProfileType("hello", names["HelloOptions"], names["HelloProfile"])


class Page:
    """An image in the example's manner."""

    page = ""

    @pytest.fixture
    def known_image(self, tmp_path):
        image = draw_image("known")
        (tmp_path / "known.tif").write_bytes(image.original)
        return image

    @pytest.fixture
    def profile(self, iiif_profile):
        return iiif_profile(profile_type(self.page), images={"known": "known.tif"})

    @pytest.fixture
    def modify(self, tmp_path):
        def modify():
            image = draw_image("known", seed=1)
            (tmp_path / "known.tif").write_bytes(image.original)
            return image

        return modify

    @pytest.fixture
    def vanish(self, tmp_path):
        return (tmp_path / "known.tif").unlink


@needs_the_example
class TestOptions(Page, OptionsContract, NamesContract):
    page = "profile-options.md"

    async def test_the_options_are_used(self, live, profile, known_image):
        async with profile.with_options(hidden=["known"]).live() as hiding:
            with pytest.raises(ImageNotFound):
                await hiding.get_info("known")
        async with profile.with_options(max_file_size="2 MB").live() as small:
            with pytest.raises(ImageNotFound):
                await small.get_info("known")
        assert await live.get_info("known")

    async def test_mistakes_are_told_as_the_page_says(self, profile):
        page = (HOW_TO / self.page).read_text()
        mistaken = profile.with_options(retries=11, sufix=".png")
        with pytest.raises(ConfigurationError) as caught:
            async with mistaken.live():
                pass

        for problem in re.findall(r"^config.yaml:\d: (.*)", page, re.MULTILINE):
            assert problem in str(caught.value)


@needs_the_example
class TestErrors(Page, NamesContract, InfosContract):
    page = "profile-errors.md"

    @pytest.fixture
    def damage(self, tmp_path):
        return lambda: (tmp_path / "known.tif").write_bytes(b"no image any more")

    async def test_what_is_refused(self, profile, live, known_image, tmp_path):
        (tmp_path / "known.tif.part").touch()
        with pytest.raises(ServerBusy) as caught:
            await live.get_info("known")
        assert caught.value.retry_after == 60
        async with profile.with_options(images={"secret": "known.gpg"}).live() as other:
            with pytest.raises(UnreadableSource):
                await other.get_info("secret")


@needs_the_example
class TestVersions(Page, InfosContract, LifecycleContract):
    page = "profile-versions.md"


@needs_the_example
class TestStatus(Page, LifecycleContract):
    page = "profile-status.md"

    async def test_what_it_tells(self, live, vanish, unknown_name):
        assert await live.get_status() == {"images": 1, "missing": [], "not_found": 0}
        vanish()
        with pytest.raises(ImageNotFound):
            await live.get_info(unknown_name)
        assert await live.get_status() == {"images": 1, "missing": ["known"], "not_found": 1}


@needs_the_example
class TestListing(Page, ListingContract, LifecycleContract):
    page = "profile-listing.md"


@needs_the_example
class TestOriginals(Page, OriginalsContract):
    page = "profile-originals.md"

    async def test_the_master_is_what_people_get(self, live, tmp_path):
        assert await live.resolve_filename("known") == "known.tif"
        (tmp_path / "known.master.tif").write_bytes(b"delivered")

        assert await live.resolve_filename("known") == "known.master.tif"
        assert await live.resolve_original_size("known") == 9
        async with live.use_original("known") as path:
            assert path.read_bytes() == b"delivered"


def test_every_guide_is_tested():
    tested = {cls.page for cls in Page.__subclasses__()}

    assert tested == {path.name for path in HOW_TO.glob("profile-*.md")}


def test_the_guide_says_what_errors_are_answered_with():
    """Those with a name of their own; several names have as many numbers."""
    page = (HOW_TO / "profile-errors.md").read_text()
    rows = re.findall(r"^\|[^|]*\| (`\w+\(.*) \| ([\d, ]+) \|$", page, re.MULTILINE)
    told = {
        name: int(number)
        for names, numbers in rows
        for name, number in zip(re.findall(r"`([A-Z]\w+)", names), numbers.split(", "), strict=True)
    }

    assert len(told) == 6
    assert told == {name: getattr(iiif_server.api, name).status for name in told}
