"""Whether an answer is right."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.soak.references import Reference, WrongImageError, decoded
from benchmarks.soak.targets import Target
from benchmarks.soak.windows import RULES, Window

_BROKEN = 0


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        target: of it.
        etag: that the client has the right answer of, if it said so.
        part: first and last byte that it wants, if not all.
    """

    target: Target
    etag: str | None = None
    part: tuple[int, int] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Those that say so."""
        headers = {} if self.etag is None else {"If-None-Match": self.etag}
        return headers if self.part is None else headers | {"Range": "bytes={}-{}".format(*self.part)}


@dataclass(frozen=True)
class Got:
    """What came; status 0 if the connection broke or nothing came in time."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""


def wrong(asked: Asked, got: Got, reference: Reference, windows: list[Window]) -> str | None:
    """What is wrong with an answer that came in these windows, in a few words; decodes every image."""
    if got.status == 503 and not got.headers.get("Retry-After"):
        return "503 without Retry-After"
    if got.status == 200:
        return _wrong_body(asked.target, got.body, reference, windows)
    if got.status == 206:
        return _wrong_part(asked, got, reference, windows)
    if got.status == 304:
        return None if asked.etag is not None else "304, but nothing was said of a copy"
    allowed = frozenset[int]().union(*(RULES[window.kind].statuses for window in windows))
    if asked.target.kind != "zip":
        allowed -= {_BROKEN}
    if got.status in allowed or got.status == reference.status:
        return None
    return f"{got.status or got.error} instead of {reference.status}"


def _holds_other_bytes(target: Target, windows: list[Window]) -> bool:
    """Whether a stored file that is being replaced is what was asked for."""
    replaced = any(RULES[window.kind].of_source_only for window in windows)
    return replaced and target.kind in {"original", "zip"}


def _wrong_body(target: Target, body: bytes, reference: Reference, windows: list[Window]) -> str | None:
    if reference.status != 200:
        return f"200 instead of {reference.status}"
    if target.kind == "image":
        try:
            pixels = decoded(body, target.size)
        except WrongImageError as error:
            return f"torn or wrong: {error}"
        if pixels != reference.pixels:
            return "other pixels"
    if body != reference.body and not _holds_other_bytes(target, windows):
        return f"other bytes ({len(body)} instead of {len(reference.body)})"
    return None


def _wrong_part(asked: Asked, got: Got, reference: Reference, windows: list[Window]) -> str | None:
    if asked.part is None:
        return "206, but all was wanted"
    first, last = asked.part
    if got.body == reference.body[first : last + 1] or _holds_other_bytes(asked.target, windows):
        return None
    return f"another part than {first}-{last}"
