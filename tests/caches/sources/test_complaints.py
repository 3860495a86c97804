"""The operator is told what is wrong and where, once a minute, in one line."""

import errno
import logging
from pathlib import Path

import pytest

from iiif_server.caches.owned import ForeignDirectory
from iiif_server.caches.sources.complaints import Complaints
from iiif_server.caches.sources.records import SourceRecord
from iiif_server.errors import ServerBusy

STORED = SourceRecord(key="a\nb", size=1, version="1", checked=0).lent_as(Path("/store/file"))


@pytest.fixture
def complaints() -> Complaints:
    return Complaints(logging.getLogger("test"), Path("/store"))


@pytest.mark.parametrize(
    ("reason", "level", "text"),
    [
        (OSError(errno.ENOSPC, "No space left"), logging.WARNING, "/store: it can't be used: ENOSPC"),
        (TimeoutError("too long"), logging.WARNING, "/store: it can't be used: TimeoutError, too long"),
        (ForeignDirectory("somebody's"), logging.ERROR, "somebody's"),
        ("too large", logging.WARNING, "/store: too large"),
    ],
)
def test_what_is_not_kept_is_told_once_and_counted(
    complaints: Complaints, caplog: pytest.LogCaptureFixture, reason: Exception | str, level: int, text: str
) -> None:
    for _ in range(3):
        complaints.not_kept(reason)
    (record,) = caplog.records
    assert record.levelno == level
    assert text in record.getMessage()
    assert complaints.failures == 3


def test_what_is_lent_unchecked_is_told_apart_with_the_operators_text(
    complaints: Complaints, caplog: pytest.LogCaptureFixture
) -> None:
    complaints.not_kept("full")
    complaints.not_checked(STORED, 12.4, ServerBusy("public", log="why"))
    complaints.not_checked(STORED, 13, KeyError("again"))
    assert caplog.messages[1:] == ["'a\\nb' is used as it was 12 seconds ago: why"]
    assert (complaints.failures, complaints.stale) == (1, 2)
