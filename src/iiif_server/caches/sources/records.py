"""What is known of a fetched source: as its author tells it, as it is lent, and as it is written down."""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

DIGEST_BYTES = 20

_MAGIC = b"iiif-source 1 "


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch tells of the bytes it wrote.

    Attributes:
        version: changes whenever the bytes change; by default the store takes a digest of the bytes.
        media_type: of the file, if known.
        filename: what a download of the file would be called, if known.
        modified: when it last changed, in seconds since the epoch, if known.
        notes: text that the profile wants back at the next fetch: validators such as ``ETag``, a licence.
    """

    version: str | None = None
    media_type: str | None = None
    filename: str | None = None
    modified: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """What a fetch answers when the bytes kept before are still the right ones.

    Attributes:
        notes: takes the place of the earlier ones; ``None`` leaves them.
    """

    notes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What a store knows of a source it keeps.

    Attributes:
        key: what the source is kept under.
        size: of the file, in bytes.
        version: changes whenever the bytes change.
        checked: when it was last fetched or confirmed, in seconds since the epoch.
        media_type: as the fetch told it, like the following.
        filename: what a download of the file would be called.
        modified: when it last changed, in seconds since the epoch.
        notes: the profile's own text.
    """

    key: str
    size: int
    version: str
    checked: float
    media_type: str | None = None
    filename: str | None = None
    modified: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def lent_as(self, path: Path) -> StoredSource:
        """The same, with the file."""
        return StoredSource(**{name: getattr(self, name) for name in _FIELDS}, path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSource(SourceRecord):
    """A source that is lent: its file stays as it is while the lease is open.

    Attributes:
        path: the local file, to be read only. A later version is another file.
    """

    path: Path

    def record(self) -> SourceRecord:
        """The same, without the file."""
        return SourceRecord(**{name: getattr(self, name) for name in _FIELDS})


_FIELDS = tuple(each.name for each in fields(SourceRecord))


class DamagedRecord(Exception):
    """A description is torn, or of another format."""


def key_digest(key: str) -> str:
    """The part of file names that stands for a key: 40 lowercase hexadecimal digits.

    Nothing is folded or normalised: keys that merely look alike are different keys.
    """
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def encode(record: SourceRecord, serial: str) -> bytes:
    """Write a record down, with the serial of the file it describes.

    Raises:
        TypeError: the profile's facts hold something else than text and numbers.
    """
    text = json.dumps({"serial": serial, **asdict(record)}).encode()
    return b"%s%08x\n%s\n" % (_MAGIC, crc32(text), text)


def decode(data: bytes, digest: str) -> tuple[SourceRecord, str]:
    """Read what :func:`encode` wrote: the record and its file's serial.

    Raises:
        DamagedRecord: something does not match.
    """
    head, _, text = data.partition(b"\n")
    text = text.removesuffix(b"\n")
    if head != b"%s%08x" % (_MAGIC, crc32(text)):
        raise DamagedRecord("its checksum or format is wrong")
    fields: dict[str, Any] = json.loads(text)
    serial: str = fields.pop("serial")
    record = SourceRecord(**fields)
    if key_digest(record.key) != digest:
        raise DamagedRecord("it belongs to another key")
    return record, serial
