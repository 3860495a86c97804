"""A log record is one line, or one with an indented traceback, whatever is in it."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.telemetry.lines import FIELDS, HumanFormatter, JsonFormatter, printable
from iiif_server.telemetry.timings import CURRENT, Trace

NASTY = "a\nb\r\x00\x1b[2J\u2028\u202e\ud800é"


def record(message="hello", *args, error=None, fields=None, name="iiif_server.web"):
    info = None
    if error is not None:
        try:
            raise error
        except type(error):
            info = sys.exc_info()
    made = logging.LogRecord(name, logging.INFO, "a.py", 7, message, args, info)
    made.created = 1_795_000_000.123456
    if fields is not None:
        setattr(made, FIELDS, fields)
    return made


@pytest.fixture
def request_trace():
    token = CURRENT.set(Trace("5f0c9be1"))
    yield
    CURRENT.reset(token)


def test_a_line_for_people():
    assert HumanFormatter().format(record("%d of %s", 3, "x")) == (
        "2026-11-18T11:06:40.123Z INFO iiif_server.web: 3 of x"
    )


def test_a_line_for_machines():
    assert json.loads(JsonFormatter().format(record("%d of %s", 3, "x"))) == {
        "time": "2026-11-18T11:06:40.123Z",
        "level": "INFO",
        "logger": "iiif_server.web",
        "message": "3 of x",
    }


def test_lines_of_a_request_have_its_id(request_trace):
    """Those of profiles as well: it does not matter who logs."""
    line = record(name="iiif_server.profile.plants")

    assert " iiif_server.profile.plants [5f0c9be1]: hello" in HumanFormatter().format(line)
    assert json.loads(JsonFormatter().format(line))["request_id"] == "5f0c9be1"


def test_fields_are_keys_of_their_own_and_take_nobodys_place():
    line = JsonFormatter().format(record(fields={"status": 200, "message": "forged", "level": "forged"}))
    said = json.loads(line)

    assert (said["status"], said["message"], said["level"]) == (200, "hello", "INFO")


@pytest.mark.parametrize("formatter", [HumanFormatter(), JsonFormatter()])
def test_what_is_nasty_is_escaped(formatter):
    for line in (formatter.format(record("%s", NASTY)), formatter.format(record(NASTY.replace("%", "")))):
        assert line.isprintable()
        assert line.encode()


@given(st.text())
def test_nothing_ends_hides_or_turns_a_line(text):
    assert printable(text).isprintable()
    assert json.loads(JsonFormatter().format(record("%s", text)))["message"] == text
    assert JsonFormatter().format(record("%s", text)).isascii()


def test_a_traceback_for_people_is_indented_and_escaped():
    first, *others = HumanFormatter().format(record(error=ValueError("one\nforged line\x1b[2J"))).split("\n")

    assert first.endswith("INFO iiif_server.web: hello")
    assert others[0] == "    Traceback (most recent call last):"
    assert "    forged line\\x1b[2J" in others
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_a_traceback_for_machines_is_a_field():
    line = JsonFormatter().format(record(error=ValueError("one\ntwo")))

    assert line.isprintable()
    assert json.loads(line)["exception"].endswith("ValueError: one\ntwo")


@pytest.mark.parametrize("formatter", [HumanFormatter(), JsonFormatter()])
def test_no_line_is_endless(formatter):
    assert len(formatter.format(record("x" * 10**6))) < 20_000
    assert len(formatter.format(record(error=ValueError("x" * 10**6)))) < 40_000
