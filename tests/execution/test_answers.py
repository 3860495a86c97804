"""What a worker says is read with suspicion."""

import json

import pytest

from iiif_server.errors import ImageNotFound, RenderFailed, SourceTooLarge, UnreadableSource
from iiif_server.execution import answers


def test_our_error_comes_back_as_the_same_class_with_all_it_says() -> None:
    error = ImageNotFound("No such image.", log="/secret/path", retry_after=3)
    found = answers.decode(answers.encode_failure(error, rss=5)).error
    assert type(found) is ImageNotFound
    assert (found.public, found.log, found.retry_after, found.status) == (
        "No such image.",
        "/secret/path",
        3,
        404,
    )


def test_a_foreign_error_keeps_its_text_from_the_client() -> None:
    try:
        raise KeyError("/secret/path")
    except KeyError as error:
        found = answers.decode(answers.encode_failure(error, rss=5)).error
    assert type(found) is RenderFailed
    assert "secret" not in found.public
    assert "/secret/path" in found.log
    assert "Traceback" in found.log


def test_memory_exhaustion_is_named_and_marks_the_worker() -> None:
    answer = answers.decode(answers.encode_failure(MemoryError(), rss=5))
    assert type(answer.error) is SourceTooLarge
    assert answer.exhausted


def test_an_unknown_class_becomes_the_general_one() -> None:
    header = json.dumps(
        {
            "error": {"name": "Exception", "public": "p", "log": "l", "retry_after": None},
            "rss": 1,
        }
    )
    found = answers.decode(header.encode()).error
    assert type(found) is RenderFailed


def test_long_texts_are_cut() -> None:
    error = UnreadableSource("p" * 10**6, log="l" * 10**6)
    assert len(answers.encode_failure(error, rss=1)) < 50_000


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"rss": "many"}',
        b'{"rss": 1e999}',
        b'{"rss": 1, "meta": 5}',
        b'{"rss": 1, "error": 5}',
        b'{"rss": 1, "error": {}}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_a_value_error_and_nothing_else(header: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        answers.decode(header)
