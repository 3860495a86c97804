"""The profile in the real application, from the request to the pixels."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
from PIL import Image

from iiif_server.testing.apps import Answer, RunningApp, image_path
from iiif_server.testing.contract.base import Change, ContractBase, changed, secrets
from iiif_server.testing.contract.names import hostile_names
from iiif_server.testing.images import KnownImage, mean_difference
from iiif_server.testing.profiles import ProfileSetup

AppRunner: TypeAlias = Callable[..., AbstractAsyncContextManager[RunningApp]]

_TILE = 256
_LONGEST = 1000
_CLOSE = 4.0
"""Of 256 levels, how far a lossy format may take the pixels of a tile on average."""

_CLOSE_SCALED = 10.0
"""The same where the picture was made smaller, by a filter that is the server's own business."""


class ApplicationContract(ContractBase):
    """What people see of the profile."""

    @pytest.fixture
    def served(self, profile: ProfileSetup) -> ProfileSetup:
        """The profile, asked anew at each request."""
        return profile.with_options(source_check_interval=0)

    async def test_info_json_has_the_size(
        self, served: ProfileSetup, known_image: KnownImage, iiif_app: AppRunner
    ) -> None:
        """`info.json` tells the image's width and height."""
        async with iiif_app(served) as app:
            document = _good(await app.get(image_path(served.name, known_image.name))).json()

        assert (document["width"], document["height"]) == known_image.picture.size

    async def test_tiles_have_the_right_pixels(
        self, served: ProfileSetup, known_image: KnownImage, iiif_app: AppRunner
    ) -> None:
        """A region at full scale, and the whole image at a small one, show what is in the picture."""
        picture = known_image.picture.convert("RGB")
        left, top = picture.width // 3, picture.height // 3
        right, bottom = min(left + _TILE, picture.width), min(top + _TILE, picture.height)
        width = max(1, min(_TILE, picture.width // 2))
        region = f"{left},{top},{right - left},{bottom - top}"
        async with iiif_app(served) as app:
            tile = await app.get(image_path(served.name, known_image.name, f"{region}/max/0/default.png"))
            small = await app.get(image_path(served.name, known_image.name, f"full/{width},/0/default.png"))

        whole = _picture(small)
        assert mean_difference(_picture(tile), picture.crop((left, top, right, bottom))) < _CLOSE
        assert mean_difference(whole, picture.resize(whole.size, Image.Resampling.LANCZOS)) < _CLOSE_SCALED

    async def test_a_current_copy_is_not_sent_again(
        self, served: ProfileSetup, known_image: KnownImage, iiif_app: AppRunner
    ) -> None:
        """A client that has the answer already is told so: 304, without a body."""
        async with iiif_app(served) as app:
            for parameters in ("info.json", "full/16,/0/default.jpg"):
                path = image_path(served.name, known_image.name, parameters)
                first = _good(await app.get(path))
                again = await app.get(path, If_None_Match=first.headers["ETag"])

                assert (again.status, again.body) == (304, b""), f"asking for {parameters} again"

    async def test_a_change_is_served(
        self, served: ProfileSetup, known_image: KnownImage, iiif_app: AppRunner, modify: Change
    ) -> None:
        """Once the stored image has changed, its old pixels are never sent again."""
        path = image_path(served.name, known_image.name, "full/64,/0/default.png")
        async with iiif_app(served) as app:
            before = _good(await app.get(path))
            there_now: KnownImage = await changed(modify)
            after = await app.get(path, If_None_Match=before.headers["ETag"])

        assert after.status != 304, "what the client has from before the change is called current"
        shown = _picture(after)
        expected = there_now.picture.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
        assert mean_difference(shown, expected) < _CLOSE_SCALED

    async def test_error_pages_tell_nothing(
        self,
        served: ProfileSetup,
        known_image: KnownImage,
        unknown_name: str,
        iiif_app: AppRunner,
        bait: Path,
    ) -> None:
        """Unknown and hostile names are answered by errors that were foreseen, without a path in them."""
        hidden = await asyncio.to_thread(secrets, served, bait)
        async with iiif_app(served) as app:
            unknown = await app.get(image_path(served.name, unknown_name))
            assert unknown.status == 404
            # Longer ones don't fit into a request: the web framework refuses them.
            for name in (name for name in hostile_names(known_image.name, bait) if len(name) <= _LONGEST):
                for parameters in ("info.json", "full/16,/0/default.jpg"):
                    answer = await app.get(image_path(served.name, name, parameters))
                    text = answer.body.decode(errors="replace")

                    assert answer.status >= 400, f"{name[:200]!r} is answered"
                    assert answer.status != 500, (
                        f"{name[:200]!r} is answered by an error that was not foreseen"
                    )
                    assert [secret for secret in hidden if secret in text.replace(name, "")] == []


def _good(answer: Answer) -> Answer:
    """The same answer, which is one of success."""
    assert answer.status == 200, f"the answer says: {answer.body[:500]!r}"
    assert answer.headers["ETag"]
    return answer


def _picture(answer: Answer) -> Image.Image:
    return Image.open(io.BytesIO(_good(answer).body)).convert("RGB")
