"""What each answer must be: taken from a server without caches that nobody hurts."""

import asyncio
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from benchmarks.soak.site import NO_CACHES, start
from benchmarks.soak.targets import Target
from PIL import Image
from tqdm import tqdm
from yarl import URL

from iiif_server.testing import mean_difference

HEADERS = {"Accept-Encoding": "identity"}
AT_ONCE = 4
FAR_OFF = 20.0
"""By so many of 256 levels, on average, an image may differ from its drawing: loss and scaling."""

LEAST_SIDE = 32
"""What is narrower holds too little to average over: it is only decoded, and compared with itself."""


class WrongImageError(Exception):
    """An image is none, or has another size than was asked for."""


@dataclass
class Reference:
    """The right answer.

    Attributes:
        status: of it.
        body: of a 200.
        pixels: a digest of size and decoded pixels, if it is an image.
    """

    status: int
    body: bytes = b""
    pixels: str = ""


def decoded(body: bytes, size: tuple[int, int] | None) -> str:
    """A digest of an image's size and pixels.

    Raises:
        WrongImageError: it can't be decoded to its end, or its size is another than this one.
    """
    try:
        with Image.open(io.BytesIO(body)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise WrongImageError(f"can't be decoded: {error}") from error
    if size is not None and image.size != size:
        raise WrongImageError(f"has {image.size} pixels instead of {size}")
    head = f"{image.mode} {image.size} ".encode()
    return hashlib.blake2b(head + image.tobytes(), digest_size=16).hexdigest()


def check_against_drawing(target: Target, body: bytes, drawing: Image.Image) -> None:
    """Compare a reference with what was drawn: it was made by the same code as what is compared with it.

    Raises:
        WrongImageError: it is far off.
    """
    if target.region is None or target.size is None or min(target.size) < LEAST_SIDE:
        return
    wanted = drawing.crop(target.region).resize(target.size, Image.Resampling.LANCZOS)
    with Image.open(io.BytesIO(body)) as image:
        difference = mean_difference(image, wanted)
    if difference > FAR_OFF:
        raise WrongImageError(f"is {difference:.1f} levels off its drawing: {target.path}")


async def take(
    targets: Sequence[Target], pictures: Mapping[str, Image.Image], images: Path, scratch: Path
) -> dict[Target, Reference]:
    """Ask a server of its own for each once.

    Raises:
        SystemExit: an answer is not what it must be; there is nothing to compare with.
    """
    site = await asyncio.to_thread(start, scratch, images, NO_CACHES)
    room, found = asyncio.Semaphore(AT_ONCE), dict[Target, Reference]()

    async def ask(client: aiohttp.ClientSession, target: Target) -> None:
        async with room:
            await ask_for(client, target)
            bar.update()

    async def ask_for(client: aiohttp.ClientSession, target: Target) -> None:
        async with client.get(URL(site.server.url + target.path, encoded=True)) as response:
            body = await response.read()
        wrong = target.kind == "wrong"
        if (response.status == 200) == wrong or response.status >= 500:
            raise WrongImageError(f"is answered with {response.status}: {target.path} {body[:200]!r}")
        reference = Reference(response.status)
        if not wrong:
            reference.body = body
        if target.kind == "image":
            reference.pixels = await asyncio.to_thread(decoded, body, target.size)
            await asyncio.to_thread(check_against_drawing, target, body, pictures[target.sources[0]])
        found[target] = reference

    try:
        session = aiohttp.ClientSession(headers=HEADERS, auto_decompress=False)
        with tqdm(total=len(targets), desc="references") as bar:
            async with session as client, asyncio.TaskGroup() as group:
                for target in targets:
                    group.create_task(ask(client, target))
    except* WrongImageError as errors:
        raise SystemExit(f"reference: {errors.exceptions[0]}") from errors
    finally:
        await asyncio.to_thread(site.server.end)
    return found
