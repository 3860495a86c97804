"""One profile for each way to break a promise; the tests here are meant to fail.

Not collected by itself: ``test_contract.py`` runs it, and says which test has to fail with which words.
"""

import asyncio
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from PIL import Image
from pydantic import Field

from iiif_server.api import ImageNotFound, Profile, ProfileOptions, ProfileType, ServerBusy, UnreadableSource
from iiif_server.testing import ProfileContract, draw_image
from tests.testing.peeking import PeekingProfile
from tests.testing.sound import SoundOptions, SoundProfile

NAME = "known.tif"


class Contract(ProfileContract):
    """The contract for a profile of this module."""

    made: ClassVar[type[Profile[Any]]]
    options: ClassVar[type[ProfileOptions]] = SoundOptions

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "images"
        folder.mkdir()
        for name in ("a.tif", "b.tif", "c.tif"):
            (folder / name).write_bytes(draw_image(name, 40, 30).original)
        (folder / "notes.txt").write_text("no image")
        return folder

    @pytest.fixture
    def known_image(self, folder):
        image = draw_image(NAME)
        (folder / NAME).write_bytes(image.original)
        return image

    @pytest.fixture
    def profile(self, iiif_profile, folder):
        return iiif_profile(ProfileType("broken", self.options, self.made), folder=folder)

    @pytest.fixture
    def modify(self, folder):
        async def modify():
            image = draw_image(NAME, seed=5)
            await asyncio.to_thread((folder / NAME).write_bytes, image.original)
            return image

        return modify

    @pytest.fixture
    def vanish(self, folder):
        return (folder / NAME).unlink

    @pytest.fixture
    def damage(self, folder):
        return lambda: (folder / NAME).write_bytes(b"damaged")


class TestSound(Contract):
    """Breaks nothing, so that what the others break is their own doing."""

    made = SoundProfile


BROKEN: dict[str, dict[str, str]] = {}
"""By the name of a test class, which of its tests have to fail, and words that the failure has to say."""

Broken = TypeVar("Broken", bound=type[Profile[Any]] | type[ProfileOptions])


def breaks(**promises: str) -> Callable[[Broken], Broken]:
    """Run the contract with a profile, or with the sound one that has other options."""

    def note(cls: Broken) -> Broken:
        name = "Test" + cls.__name__.removesuffix("Profile").removesuffix("Options")
        what = {"options": cls} if issubclass(cls, ProfileOptions) else {"made": cls}
        globals()[name] = type(name, (Contract,), {"made": SoundProfile, "__module__": __name__, **what})
        BROKEN[name] = promises
        return cls

    return note


# Options.


@breaks(test_an_unknown_option_is_a_mistake_that_is_named="DID NOT RAISE")
class LenientOptions(SoundOptions, extra="ignore"):
    pass


@breaks(test_every_option_says_what_it_means="['volume'] == []")
class MuteOptions(SoundOptions):
    volume: int = 3
    loudness: int = Field(default=3, description="How loud.")


breaks(test_only_the_api_is_imported="['iiif_server.profiles.base'] == []")(PeekingProfile)


# Names.


@breaks(
    test_an_unknown_name_is_not_found="get_info('there-is-no-image-of-this-name') is not ImageNotFound",
    test_hostile_names_reach_nothing="is no IIIFServerError",
    test_error_pages_tell_nothing="assert 500 == 404",
)
class DictionaryProfile(SoundProfile):
    async def find(self, name):
        files = {
            path.name: path for path in await asyncio.to_thread(lambda: [*self.options.folder.iterdir()])
        }
        return files[name]


@breaks(test_hostile_names_reach_nothing="bait.tif') is no IIIFServerError")
class EscapingProfile(SoundProfile):
    async def find(self, name):
        path = self.options.folder / name
        try:
            if await asyncio.to_thread(path.is_file):
                return await asyncio.to_thread(path.resolve)
        except (OSError, ValueError):
            pass
        raise ImageNotFound


@breaks(test_hostile_names_reach_nothing="is no IIIFServerError")
class ChokingProfile(SoundProfile):
    async def find(self, name):
        try:
            return await asyncio.to_thread(
                (self.options.folder / os.path.basename(name)).resolve, strict=True
            )
        except OSError:
            raise ImageNotFound from None


@breaks(test_errors_tell_no_path="the public text of get_info", test_error_pages_tell_nothing="/images'")
class TalkativeProfile(SoundProfile):
    async def find(self, name):
        if name not in await asyncio.to_thread(os.listdir, self.options.folder):
            raise ImageNotFound(f"There is no file {self.options.folder / name}.")
        return self.options.folder / name


# Infos.


@breaks(
    test_what_is_known_of_the_image="(901, 1201) == (1201, 901)",
    test_a_worker_reads_the_source="(1201, 901) == (901, 1201)",
    test_info_json_has_the_size="(901, 1201) == (1201, 901)",
)
class SidewaysProfile(SoundProfile):
    async def get_info(self, name):
        info = await super().get_info(name)
        return type(info)(name, info.height, info.width, info.version)


@breaks(test_the_same_image_has_the_same_version="asked again")
class RestlessProfile(SoundProfile):
    async def version(self, path):
        return uuid.uuid4().hex


@breaks(test_a_current_copy_is_not_sent_again="asking for full/16,/0/default.jpg again")
class DriftingProfile(SoundProfile):
    """Has another version for every request, though not within one."""

    asked = 0

    async def version(self, path):
        self.asked += 1
        return str(self.asked // 2)


@breaks(test_the_same_image_has_the_same_version="after a restart")
class ForgetfulProfile(SoundProfile):
    """Counts versions in memory: they begin again with every start."""

    def __init__(self, context, options):
        super().__init__(context, options)
        self.start = uuid.uuid4().hex

    async def version(self, path):
        return self.start + await super().version(path)


@breaks(
    test_a_changed_image_has_another_version="the stored bytes are others now",
    test_a_change_is_served="is called current",
)
class ConstantProfile(SoundProfile):
    async def version(self, path):
        return "1"


@breaks(test_a_damaged_image_is_refused="get_info() of a damaged image: KeyError(b'da')")
class BrittleProfile(SoundProfile):
    async def version(self, path):
        start = (await asyncio.to_thread(path.read_bytes))[:2]
        return {b"II": "little", b"MM": "big"}[start] + await super().version(path)


@breaks(test_a_damaged_image_is_refused="the public text of get_info()")
class QuotingProfile(SoundProfile):
    async def get_info(self, name):
        try:
            return await super().get_info(name)
        except UnreadableSource as error:
            raise UnreadableSource(f"{self.options.folder}: {error}") from None


@breaks(test_a_vanished_image_is_not_found="get_info() of an image that has vanished")
class RememberingProfile(SoundProfile):
    def __init__(self, context, options):
        super().__init__(context, options)
        self.known = {}

    async def get_info(self, name):
        if name not in self.known:
            self.known[name] = await super().get_info(name)
        return self.known[name]


@breaks(test_a_hundred_may_ask_at_once="Come again later.")
class BusyProfile(SoundProfile):
    """Refuses who comes while others are there."""

    present = 0

    async def find(self, name):
        if self.present > 5:
            raise ServerBusy("Come again later.")
        self.present += 1
        try:
            return await super().find(name)
        finally:
            self.present -= 1


# Sources.


@breaks(test_the_source_is_a_regular_file="is no regular file")
class LinkingProfile(SoundProfile):
    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        path = await self.find(info.name)
        link = self.context.cache_path / uuid.uuid4().hex
        await asyncio.to_thread(link.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(link.symlink_to, path)
        yield link


@breaks(
    test_a_worker_reads_the_source="(120, 90) == (1201, 901)",
    test_a_smaller_copy_is_large_enough="assert 400 <= 120",
)
class ShrinkingProfile(SoundProfile):
    """Lends a small copy, whatever is wanted."""

    def shrunken(self, path):
        with Image.open(path) as image:
            small = image.resize((image.width // 10, image.height // 10))
        self.context.cache_path.mkdir(parents=True, exist_ok=True)
        copy = self.context.cache_path / "small.png"
        small.save(copy.with_suffix(".new"), "PNG")
        return copy.with_suffix(".new").replace(copy)

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        yield await asyncio.to_thread(self.shrunken, await self.find(info.name))


@breaks(test_a_source_stays_while_it_is_lent="No such file or directory")
class SharingProfile(SoundProfile):
    """Lends a copy that the first one to leave takes away."""

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        content = await asyncio.to_thread((await self.find(info.name)).read_bytes)
        copy = self.context.cache_path / "copy.tif"
        await asyncio.to_thread(copy.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(copy.write_bytes, content)
        try:
            yield copy
        finally:
            await asyncio.to_thread(copy.unlink, missing_ok=True)


@breaks(test_ten_may_borrow_at_once="One at a time.")
class SingleProfile(SoundProfile):
    lent = False

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        path = await self.find(info.name)
        if self.lent:
            raise ServerBusy("One at a time.")
        self.lent = True
        try:
            yield path
        finally:
            self.lent = False


@breaks(test_what_the_borrower_raises_is_its_own="DID NOT RAISE")
class SwallowingProfile(SoundProfile):
    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        path = await self.find(info.name)
        try:
            yield path
        except RuntimeError:
            self.context.logger.debug("what a borrower raises is none of my business")


@breaks(test_tiles_have_the_right_pixels="< 4.0")
class MirroringProfile(SoundProfile):
    """Lends another picture than the one that is asked for."""

    def mirrored(self, path):
        self.context.cache_path.mkdir(parents=True, exist_ok=True)
        copy = self.context.cache_path / f"{uuid.uuid4().hex}.png"
        with Image.open(path) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copy)
        return copy

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        yield await asyncio.to_thread(self.mirrored, await self.find(info.name))


# Originals.


@breaks(test_a_large_original_takes_little_memory="bytes of memory for an original of")
class GreedyProfile(SoundProfile):
    """Has the whole file in memory."""

    async def stream_original(self, name, chunk_size):
        content = await asyncio.to_thread((await self.find(name)).read_bytes)
        for start in range(0, len(content), chunk_size):
            yield content[start : start + chunk_size]


@breaks(test_the_original_comes_in_pieces="pieces of 1009 bytes at most")
class LumpyProfile(SoundProfile):
    async def stream_original(self, name, chunk_size):
        async for piece in super().stream_original(name, 2 * chunk_size):
            yield piece


@breaks(test_the_original_has_the_size_that_was_told="3246444 == 3246443")
class MiscountingProfile(SoundProfile):
    async def resolve_original_size(self, name):
        return await super().resolve_original_size(name) + 1


@breaks(test_the_original_is_the_stored_file="== 3246443")
class ConvertingProfile(SoundProfile):
    """Gives a converted file for the original."""

    def converted(self, path):
        self.context.cache_path.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(self.context.cache_path / "converted.png")
        return self.context.cache_path / "converted.png"

    async def stream_original(self, name, chunk_size):
        path = await asyncio.to_thread(self.converted, await self.find(name))
        yield await asyncio.to_thread(path.read_bytes)


@breaks(test_the_file_name_is_a_plain_name="['/', '/'")
class PathNamingProfile(SoundProfile):
    async def resolve_filename(self, name):
        return str(await self.find(name))


@breaks(test_an_original_that_is_lent_is_the_stored_file="== b")
class DecoyProfile(SoundProfile):
    """Lends another file than it streams."""

    @asynccontextmanager
    async def use_original(self, name):
        await self.find(name)
        yield self.options.folder / "a.tif"


@breaks(test_abandoned_originals_are_let_go="open file", test_cancelling_leaves_nothing="open file")
class AbandoningProfile(SoundProfile):
    """Closes the file only if it is read to its end."""

    async def stream_original(self, name, chunk_size):
        file = await asyncio.to_thread(os.open, await self.find(name), os.O_RDONLY)
        while piece := await asyncio.to_thread(os.read, file, chunk_size):
            yield piece
        os.close(file)


# Listings.


@breaks(test_names_come_in_one_order="assert [")
class ShufflingProfile(SoundProfile):
    listed = 0

    async def list_names(self, after, limit):
        self.listed += 1
        names = list(await super().list_names(after, limit))
        return names[self.listed % 2 :] + names[: self.listed % 2]


@breaks(test_pages_are_complete="assert [")
class RepeatingProfile(SoundProfile):
    """Begins each page with the name that ended the last."""

    async def list_names(self, after, limit):
        names = await super().list_names(None, 10_000)
        return [name for name in names if name >= (after or "")][:limit]


@breaks(test_pages_are_complete="a page of 1 names at most")
class UnlimitedProfile(SoundProfile):
    async def list_names(self, after, limit):
        return await super().list_names(after, limit + 1)


@breaks(test_every_listed_name_is_an_image="UnreadableSource")
class HoardingProfile(SoundProfile):
    async def list_names(self, after, limit):
        names = await asyncio.to_thread(os.listdir, self.options.folder)
        return sorted(name for name in names if name > (after or ""))[:limit]


# Life.


@breaks(test_the_status_is_json="is not JSON serializable")
class UnsayableProfile(SoundProfile):
    async def get_status(self):
        return {"folder": self.options.folder}


@breaks(test_nothing_blocks_the_loop="get_status blocks the event loop: Blocking call to os.listdir")
class BlockingProfile(SoundProfile):
    async def get_status(self):
        return {"images": len(os.listdir(self.options.folder))}


@breaks(test_cancelling_leaves_nothing="files after a life")
class LitteringProfile(SoundProfile):
    """Removes its copy only if nothing goes wrong."""

    @asynccontextmanager
    async def use_source(self, info, size_hint=None):
        copy = Path(tempfile.gettempdir(), uuid.uuid4().hex)
        await asyncio.to_thread(shutil.copy, await self.find(info.name), copy)
        yield copy
        await asyncio.to_thread(os.remove, copy)


@breaks(test_closing_leaves_nothing="task <Task pending", test_cancelling_leaves_nothing="task <Task pending")
class HauntedProfile(SoundProfile):
    """Has a task that nobody ends."""

    async def get_info(self, name):
        self.ghost = asyncio.create_task(asyncio.sleep(1000))
        return await super().get_info(name)


@breaks(test_closing_leaves_nothing="thread forgotten")
class ThreadedProfile(SoundProfile):
    async def get_info(self, name):
        threading.Thread(target=time.sleep, args=(8,), daemon=True, name="forgotten").start()
        return await super().get_info(name)


@breaks(test_closing_leaves_nothing="open file")
class HoldingProfile(SoundProfile):
    """Opens something that it never closes."""

    async def get_info(self, name):
        info = await super().get_info(name)
        await asyncio.to_thread(os.open, await self.find(name), os.O_RDONLY)
        return info


@breaks(test_closing_leaves_nothing="closed already")
class OnceProfile(SoundProfile):
    closed = False

    async def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@breaks(test_closing_leaves_nothing="/scratch")
class TidyProfile(SoundProfile):
    """Keeps what it made below the system's temporary directory."""

    async def get_info(self, name):
        handle, _ = await asyncio.to_thread(tempfile.mkstemp)
        await asyncio.to_thread(os.close, handle)
        return await super().get_info(name)
