"""What is asked for: the same list for the same seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "info", "original", "zip", "wrong"]


@dataclass(frozen=True)
class Target:
    """An address.

    Attributes:
        path: of the request, ready to be sent.
        kind: of the answer.
        sources: that the answer is made of.
        size: that an image must have, where the address says so.
        region: left, top, right and bottom, if the image is just that part of its source, scaled.
    """

    path: str
    kind: Kind
    sources: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    region: tuple[int, int, int, int] | None = None


def _format(chance: random.Random) -> str:
    return chance.choices(("jpg", "png", "webp"), (8, 3, 1))[0]


def _tile(name: str, source: tuple[int, int], chance: random.Random) -> Target:
    """As a viewer asks for it."""
    width, height = source
    factor, side = chance.choice((1, 1, 2, 4)), 256
    left = chance.randrange(-(-width // (side * factor))) * side * factor
    top = chance.randrange(-(-height // (side * factor))) * side * factor
    right, bottom = min(width, left + side * factor), min(height, top + side * factor)
    size = (-(-(right - left) // factor), -(-(bottom - top) // factor))
    part = f"{left},{top},{right - left},{bottom - top}/{size[0]},{size[1]}"
    path = f"{chance.choice(('', '/iiif/3'))}/{name}/{part}/0/default.{_format(chance)}"
    return Target(path, "image", (name,), size, (left, top, right, bottom))


def _part(name: str, source: tuple[int, int], chance: random.Random) -> Target:
    """Any part, turned, mirrored, gray or black and white."""
    width, height = source
    left, top = chance.randrange(width // 2), chance.randrange(height // 2)
    wide, high = chance.randrange(40, width // 2), chance.randrange(40, height // 2)
    size: tuple[int, int] | None = (
        min(wide, chance.randrange(30, 500)),
        min(high, chance.randrange(30, 400)),
    )
    assert size is not None
    rotation = chance.choice(("0", "90", "180", "270", "!0", "!90", "22.5"))
    quality = chance.choice(("default", "default", "color", "gray", "bitonal"))
    asked = f"{left},{top},{wide},{high}/{size[0]},{size[1]}/{rotation}/{quality}.{_format(chance)}"
    if rotation == "22.5":
        size = None
    elif rotation.endswith(("90", "270")):
        size = size[::-1]
    plain = rotation == "0" and quality in {"default", "color"}
    region = (left, top, left + wide, top + high) if plain else None
    return Target(f"/{name}/{asked}", "image", (name,), size, region)


def _whole(name: str, source: tuple[int, int], chance: random.Random) -> Target:
    width = chance.randrange(60, min(700, source[0]))
    path = chance.choice(
        (
            f"full/{width},/0/default.{_format(chance)}",
            f"full/!{width},{width}/0/gray.jpg",
            "thumbnail",
            "preview",
        )
    )
    return Target(f"/{name}/{path}", "image", (name,))


def _others(names: list[str]) -> Iterator[Target]:
    """What there is one of for each source, and what has another answer than 200."""
    for number, name in enumerate(names):
        for prefix in ("/iiif/2", "/iiif/3"):
            yield Target(f"{prefix}/{name}/info.json", "info", (name,))
        yield Target(f"/{name}/original", "original", (name,))
        pair = (name, names[number - 1])
        yield Target(f"/originals?identifiers={','.join(pair)}", "zip", pair)
        yield Target(f"/{name}/0,0,10/max/0/default.jpg", "wrong", (name,))
        yield Target(f"/{name}/99999,0,10,10/max/0/default.jpg", "wrong", (name,))
        yield Target(f"/{name}/full/^99999,/0/default.jpg", "wrong", (name,))
    yield Target("/nothing.jpg/info.json", "wrong")
    yield Target("/other:one.jpg/full/max/0/default.jpg", "wrong")


def make_targets(sizes: Mapping[str, tuple[int, int]], count: int, seed: int) -> list[Target]:
    """So many different addresses, in any order: those in front are asked for most often."""
    chance, names = random.Random(seed), sorted(sizes)
    found = dict.fromkeys(_others(names))
    while len(found) < count:
        name = chance.choice(names)
        make = chance.choices((_tile, _part, _whole), (6, 3, 1))[0]
        found[make(name, sizes[name], chance)] = None
    targets = list(found)
    chance.shuffle(targets)
    return targets


def burst_of(sizes: Mapping[str, tuple[int, int]], count: int, chance: random.Random) -> list[Target]:
    """Images that nobody else asks for, and that no cache has."""
    found = []
    for _ in range(count):
        name = chance.choice(sorted(sizes))
        width, height = sizes[name]
        left, top = chance.randrange(width - 300), chance.randrange(height - 300)
        size = (chance.randrange(150, 290), chance.randrange(150, 290))
        part = f"{left},{top},299,299/{size[0]},{size[1]}/0/default.jpg"
        found.append(Target(f"/{name}/{part}", "image", (name,), size))
    return found
