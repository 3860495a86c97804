"""A description is read as it was written, or not at all."""

from pathlib import Path

import pytest

from iiif_server.caches.sources.records import DamagedRecord, SourceRecord, decode, encode, key_digest

RECORD = SourceRecord(
    key="https://example.org/ä?\ud800",
    size=123,
    version="v",
    checked=1.5,
    media_type="image/jpeg",
    filename='a "b"\n.jpg',
    modified=-1.25,
    notes={"ETag": '"x"', "": "ü"},
)


def test_what_was_written_is_read() -> None:
    assert decode(encode(RECORD, "serial"), key_digest(RECORD.key)) == (RECORD, "serial")
    plain = SourceRecord(key="", size=1, version="", checked=0)
    assert decode(encode(plain, "0"), key_digest("")) == (plain, "0")


def test_any_damage_is_found() -> None:
    data, digest = encode(RECORD, "serial"), key_digest(RECORD.key)
    damages = [data[:cut] for cut in range(len(data) - 1)]
    damages += [bytes(len(data)), b"x" + data, data + b"x", data.upper(), b'{"key": "k"}']
    damages += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data) - 1)]
    for damaged in damages:
        with pytest.raises(DamagedRecord):
            decode(damaged, digest)


def test_the_description_of_another_key_is_damage() -> None:
    with pytest.raises(DamagedRecord, match="another key"):
        decode(encode(RECORD, "serial"), key_digest("other"))


def test_only_text_and_numbers_are_noted() -> None:
    odd = SourceRecord(key="", size=1, version="", checked=0, notes={"path": Path()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        encode(odd, "serial")


def test_a_lent_source_is_its_record_and_a_path() -> None:
    stored = RECORD.lent_as(Path("/somewhere"))
    assert stored.path == Path("/somewhere")
    assert stored.record() == RECORD
