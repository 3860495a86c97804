"""What aiohttp says of connections is a line, or nothing; what is our fault keeps its traceback."""

import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from iiif_server.web.http_log import http_logger


@pytest.fixture(autouse=True)
def level(caplog):
    caplog.set_level(logging.INFO, logger="iiif_server")


def log(error):
    http_logger.exception("Error handling request from %s", "203.0.113.9", exc_info=error)


def test_what_is_no_http_is_one_line_without_a_traceback(caplog):
    log(BadStatusLine("GET\n\x1b[2J" + "x" * 1000))
    (record,) = caplog.records

    assert record.levelname == "INFO"
    assert record.exc_info is None
    assert record.getMessage().startswith("a request from 203.0.113.9 is not HTTP: ")
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 300


def test_it_is_said_at_its_level(caplog):
    caplog.set_level(logging.WARNING, logger="iiif_server")
    log(BadStatusLine("GET"))

    assert caplog.records == []


def test_clients_that_leave_are_no_errors(caplog):
    log(ConnectionResetError("gone"))

    assert caplog.records == []


def test_our_own_mistakes_keep_their_traceback(caplog):
    log(RuntimeError("a mistake"))

    assert caplog.records[0].levelname == "ERROR"
    assert "RuntimeError: a mistake" in caplog.text
