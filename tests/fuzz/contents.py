"""What comes as bytes into the server's process: tiles, indexes, frames, cache entries, configurations."""

import asyncio
import json
import tempfile
from array import array
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from iiif_server.caches.entry import DamagedEntry, header, load
from iiif_server.caches.sources.records import DamagedRecord, SourceRecord, encode, key_digest
from iiif_server.caches.sources.records import decode as decode_record
from iiif_server.config.describe import example
from iiif_server.config.load import load_config
from iiif_server.config.model import Config
from iiif_server.errors import ConfigurationError, IIIFServerError
from iiif_server.execution.answers import decode, encode_failure, encode_success
from iiif_server.execution.framing import PREFIX, FrameDecoder, FrameError, encode_head
from iiif_server.iiif.geometry import Dimensions
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import ImageParameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.plan import is_copy
from iiif_server.imaging.splice import shared_tables, whole_jpeg
from iiif_server.imaging.tiles import COUNT, OFFSET, TileIndex, TileLevel
from iiif_server.plugins import load_plugins, option_models
from iiif_server.services.reading import SourceReader
from tests.fuzz.target import Target
from tests.iiif.strategies import parameters
from tests.imaging.helpers import jpeg, picture

Edit = tuple[int, int, bytes]


def edited(edits: list[Edit], data: bytes) -> bytes:
    """Some bytes with others in their place."""
    for place, length, piece in edits:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at + length :]
    return data


edits = st.lists(
    st.tuples(st.integers(0, 5000), st.sampled_from([0, 1, 2, 8, 5000]), st.binary(max_size=9)), max_size=4
)

# --- Tiles ------------------------------------------------------------------------------------------------

_SIDES = Dimensions(64, 48)
_SCAN = 0xDA


def parts(stream: bytes) -> list[bytes]:
    """The segments of a JPEG up to its scan, which is the last part with all that follows."""
    found, at = [], 2
    while stream[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        found.append(stream[at:end])
        at = end
    return [*found, stream[at:]]


WHOLE = [
    jpeg(picture(*_SIDES), subsampling=0),
    jpeg(picture(*_SIDES), subsampling=2, restart_marker_blocks=2),
    jpeg(picture(*_SIDES), progressive=True),
    jpeg(picture(*_SIDES, bands=1)),
    jpeg(picture(40, 40), subsampling=2),
]
real_parts = st.sampled_from([part for stream in WHOLE for part in parts(stream)])
made_parts = st.tuples(
    st.sampled_from(
        [0x00, 0x01, 0xC0, 0xC1, 0xC4, 0xC8, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE, 0xFF]
    ),
    st.integers(0, 65_535) | st.integers(0, 40),
    st.binary(max_size=40),
).map(lambda drawn: bytes((0xFF, drawn[0])) + drawn[1].to_bytes(2) + drawn[2])
adobe = st.integers(0, 255).map(lambda transform: b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,)))
ends = st.sampled_from([b"", b"\xff\xd9", b"\xff\xd9\0\0\0", b"\0" * 9])
put_together = st.tuples(st.lists(real_parts | made_parts | adobe, max_size=12).map(b"".join), ends).map(
    lambda drawn: b"\xff\xd8" + drawn[0] + drawn[1]
)
tiles = st.one_of(
    put_together,
    st.builds(edited, edits, st.sampled_from(WHOLE)),
    st.builds(edited, edits, put_together),
    st.binary(max_size=80),
)
tables = put_together.map(lambda stream: shared_tables(stream) or b"")


def spliced_tiles(value: tuple[bytes, bytes, int, bool]) -> None:
    """A tile is a JPEG of the level's size with known segments in front of its scan, or nothing."""
    data, shared, components, is_rgb = value
    level = TileLevel(1, _SIDES, _SIDES, Dimensions(8, 8), components, is_rgb, shared, [0], [1])
    made = whole_jpeg(level, data)
    assert whole_jpeg(level, memoryview(data)) == made
    if made is None:
        return
    assert made.startswith(b"\xff\xd8")
    assert made.endswith(b"\xff\xd9")
    assert len(made) <= len(shared) + len(data) + 32
    mine = parts(made)
    assert {part[0] for part in mine} == {0xFF}
    kinds = [part[1] for part in mine]
    assert kinds[0] in {0xE0, 0xEE}
    assert set(kinds[1:-1]) <= {0xC0, 0xC1, 0xC4, 0xDB, 0xDD}
    frames = [part for part in mine if part[1] in {0xC0, 0xC1}]
    assert [(part[5:9], part[9]) for part in frames] == [(b"\0\x30\0\x40", components)]


def tables_of_tiles(value: bytes) -> None:
    """Of shared tables, quantisation and Huffman tables are kept, and nothing is added."""
    found = shared_tables(value)
    if found:
        assert len(found) <= len(value) - 4
        assert {part[1] for part in parts(b"\xff\xd8" + found + b"\xff\xda")[:-1]} <= {0xC4, 0xDB}


words = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
short_words = words.map(lambda word: word % 2**32)
small = st.integers(1, 2000)
sides = st.builds(Dimensions, small, small)


@st.composite
def levels(draw: st.DrawFn) -> TileLevel:
    """A level with positions of any value, as a file's author may write them."""
    size, tile = draw(sides), draw(st.builds(Dimensions, st.integers(64, 512), st.integers(64, 512)))
    count = -(-size.width // tile.width) * -(-size.height // tile.height)
    offset, length = draw(words), draw(short_words)
    return TileLevel(
        draw(st.sampled_from([1, 2, 4, 8])),
        size,
        tile,
        Dimensions(8, 8),
        draw(st.sampled_from([1, 3])),
        draw(st.booleans()),
        draw(st.binary(max_size=20)),
        array(OFFSET, [offset] * count),
        array(COUNT, [length] * count),
    )


indexes = st.builds(TileIndex, sides, st.lists(levels(), max_size=3).map(tuple))
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def tile_indexes(value: tuple[TileIndex, ImageParameters]) -> None:
    """What a worker packs is what is unpacked; any request finds a tile of it or none."""
    index, wanted = value
    meta, body = index.pack()
    found = TileIndex.unpack(json.loads(json.dumps(meta)), body)
    assert found.pack()[1] == body
    assert found.image == index.image
    try:
        operation = resolve(wanted, index.image, Limits())
    except IIIFServerError:
        return
    tile = found.find(operation)
    if tile is not None:
        assert tile.number < len(tile.level.counts)
        assert isinstance(is_copy(tile, operation), bool)


def foreign_tile_indexes(value: tuple[TileIndex, list[tuple[int, int, Any]], Any, bytes]) -> None:
    """What no worker packs is a ValueError, or an index in which any request finds a tile or none."""
    index, changes, document, body = value
    meta, packed = index.pack()
    meta = json.loads(json.dumps(meta))
    for number, place, thing in changes:
        if meta["levels"]:
            level = meta["levels"][number % len(meta["levels"])]
            level[place % len(level)] = thing
    for candidate, content in ((meta, packed), (meta, body), ({"levels": document, "image": [9, 9]}, body)):
        try:
            found = TileIndex.unpack(candidate, content)
        except ValueError:
            continue
        for level in found.levels:
            assert len(level.counts) == len(level.offsets)
            across, down = (-(-side // tile) for side, tile in zip(level.size, level.tile, strict=True))
            assert len(level.counts) == across * down
        assert found.weight >= 0


def stored_bytes(value: tuple[int, int]) -> None:
    """Any stretch of a file is its bytes or nothing."""
    offset, count = value
    path = Path(__file__)
    data = asyncio.run(SourceReader(str(path)).read(offset, count))
    expected = path.read_bytes()[offset : offset + count]
    assert data is None if len(expected) < count else bytes(cast(bytes, data)) == expected


# --- Workers and caches -----------------------------------------------------------------------------------

frames = st.lists(
    st.tuples(st.binary(max_size=30), st.binary(max_size=100) | st.just(b"much" * 20_000)), max_size=4
)
heads = st.builds(PREFIX.pack, short_words, words)


def frames_of_workers(value: tuple[list[tuple[bytes, bytes]], bytes, list[int]]) -> None:
    """Frames come out as they went in, whatever the pieces; what is none is refused or never ends."""
    sent, tail, cuts = value
    received: list[tuple[bytes, bytes]] = []
    decoder = FrameDecoder(lambda head, body: received.append((head, body)), max_body=100_000)
    stream = b"".join(encode_head(head, len(body)) + body for head, body in sent) + tail
    try:
        while stream:
            window = decoder.get_buffer()
            count = min(len(stream), len(window), cuts.pop() if cuts else 70_000)
            window[:count] = stream[:count]
            window = memoryview(b"")
            stream = stream[count:]
            decoder.received(count)
    except FrameError:
        assert tail
    assert received[: len(sent)] == sent


failure = encode_failure(IIIFServerError("Public.", log="log", retry_after=3), 5)


def answers_of_workers(value: bytes) -> None:
    """A header is an answer, or a ValueError."""
    try:
        answer = decode(value)
    except ValueError:
        return
    assert isinstance(answer.meta, dict)
    assert answer.error is None or isinstance(answer.error, IIIFServerError)


KEY = "ab" * 32


def cache_entries(value: tuple[bytes, list[Edit], int]) -> None:
    """What was written is read as it was; anything else is damage."""
    body, changes, small_bytes = value
    whole = header(KEY, body) + body
    data = edited(changes, whole)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        try:
            found = load(file, KEY, small_bytes)
        except DamagedEntry:
            assert data != whole
            return
        assert data == whole
        assert found.length == len(body)


RECORD = SourceRecord(key="k", size=3, version="v", checked=1.5, filename="é", notes={"etag": "x"})


def source_records(value: list[Edit]) -> None:
    """A description is read as it was written, or damaged."""
    whole = encode(RECORD, "0")
    data = edited(value, whole)
    try:
        found = decode_record(data, key_digest("k"))
    except DamagedRecord:
        assert data != whole
        return
    assert found == (RECORD, "0")


# --- Configuration ----------------------------------------------------------------------------------------

MODELS = option_models(load_plugins())
EXAMPLE = example(MODELS).encode()
yaml_pieces = st.sampled_from(
    [
        *b"profiles type: disk rights a - ? : , [ ] { } & * ! | > ' % @ ` # <<".split(),
        *b"&a *a !!int !!set !!binary --- ...".split(),
        *(b"\n", b"\n  ", b"\t", b"\r", b"\0", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b" "),
        *(
            b"0x",
            b".nan",
            b"1e5",
            b"1e999",
            b"9" * 30,
            b"2024-01-01",
            b"012",
            b"{" * 40,
            b"&a [*a]",
            b"<<: *a",
        ),
    ]
)
yaml_edits = st.lists(
    st.tuples(st.integers(0, len(EXAMPLE)), st.sampled_from([0, 1, 5, 40]), yaml_pieces), max_size=6
)
configurations_ = st.one_of(
    st.builds(edited, yaml_edits, st.just(EXAMPLE)),
    st.builds(edited, yaml_edits, st.just(b"profiles: {a: {type: disk, rights: x, path: .}}\n")),
    st.lists(yaml_pieces, max_size=25).map(b" ".join),
)


def configurations(value: bytes) -> None:
    """A text is a configuration, or a list of mistakes of one line each."""
    try:
        assert isinstance(load_config(Path("c.yaml"), MODELS, {}, value.decode(errors="replace")), Config)
    except ConfigurationError as error:
        assert error.problems
        assert all(problem.isprintable() and len(problem) < 1500 for problem in error.problems)


TARGETS = [
    Target(spliced_tiles, st.tuples(tiles, tables, st.sampled_from([1, 3]), st.booleans())),
    Target(tables_of_tiles, tiles),
    Target(tile_indexes, st.tuples(indexes, parameters)),
    Target(
        foreign_tile_indexes,
        st.tuples(
            indexes,
            st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), junk), max_size=3),
            junk,
            st.binary(max_size=60),
        ),
    ),
    Target(stored_bytes, st.tuples(words | st.integers(0, 20_000), st.integers(1, 4 << 20))),
    Target(
        frames_of_workers,
        st.tuples(
            frames,
            st.binary(max_size=20) | heads,
            st.lists(st.integers(1, 200) | st.integers(1, 100_000), max_size=20),
        ),
    ),
    Target(
        answers_of_workers,
        st.one_of(
            st.binary(max_size=60),
            junk.map(lambda document: json.dumps(document).encode()),
            st.builds(edited, edits, st.sampled_from([failure, encode_success({"a": 1}, 5)])),
        ),
    ),
    Target(cache_entries, st.tuples(st.binary(max_size=60), edits, st.sampled_from([0, 1000]))),
    Target(source_records, edits),
    Target(configurations, configurations_),
]
