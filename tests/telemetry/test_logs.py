"""Log lines are written by a thread, never more slowly than the server may wait, which is not at all."""

import json
import logging
import os
import re
import threading
import time
from contextlib import contextmanager

import pytest

from iiif_server.telemetry.logs import ACCESS_LOGGER, LogOutput, log_accesses, log_output, use_log_format

NAME = "iiif_server_logs_test"
logger = logging.getLogger(NAME)


@pytest.fixture(autouse=True)
def level():
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(logging.NOTSET)


@contextmanager
def pipe():
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for descriptor in (reader, writer):
            try:
                os.close(descriptor)
            except OSError:
                continue


def read_all(reader, writer):
    os.close(writer)
    with open(reader, closefd=False) as stream:
        return stream.read().splitlines()


def test_everything_logged_is_written_by_the_end():
    with pipe() as (reader, writer):
        with log_output(NAME, descriptor=writer):
            for number in range(500):
                logger.info("line %d", number)
        lines = read_all(reader, writer)

    assert [line.rsplit(" ", 1)[1] for line in lines] == [str(number) for number in range(500)]


def test_lines_of_many_threads_are_whole():
    with pipe() as (reader, writer):
        with log_output(NAME, "json", descriptor=writer):

            def log() -> None:
                for _ in range(50):
                    logger.info("x" * 50)

            threads = [threading.Thread(target=log) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        lines = read_all(reader, writer)

    assert [json.loads(line)["message"] for line in lines] == ["x" * 50] * 400


def test_a_reader_that_sleeps_holds_up_nobody_and_loses_lines_that_are_counted(monkeypatch):
    """More than a pipe and the queue hold, while nobody reads; then somebody does."""
    monkeypatch.setattr(logger, "propagate", False)
    before = LogOutput.dropped()
    lines: list[str] = []
    with pipe() as (reader, writer):
        output = LogOutput("human", descriptor=writer, capacity=50)
        logger.addHandler(output)
        try:
            for number in range(5000):
                logger.info("line %d %s", number, "x" * 200)
            dropped = LogOutput.dropped() - before
            collector = threading.Thread(target=lambda: lines.extend(open(reader, closefd=False)))  # noqa: SIM115
            collector.start()
        finally:
            logger.removeHandler(output)
            output.close()
        os.close(writer)
        collector.join(30)
    confessed = [int(line.split()[3]) for line in lines if "log lines were dropped" in line]

    assert 0 < dropped < 5000
    assert sum(confessed) == dropped
    assert len(lines) - len(confessed) == 5000 - dropped


def test_the_end_does_not_wait_for_a_reader_that_never_comes():
    with pipe() as (reader, writer):
        output = LogOutput("human", descriptor=writer)
        for _ in range(300):
            output.handle(logging.LogRecord(NAME, logging.INFO, "a.py", 1, "x" * 1000, None, None))
        began = time.monotonic()
        output.close()
        assert time.monotonic() - began < 30
        os.close(reader)  # lets the writer go, with an error


def test_a_reader_that_is_gone_costs_lines_and_nothing_else():
    before = LogOutput.dropped()
    with pipe() as (reader, writer), log_output(NAME, descriptor=writer):
        os.close(reader)
        for _ in range(10):
            logger.info("lost")
    assert LogOutput.dropped() - before == 10


def test_what_was_lost_is_said_exactly_once_it_can_be(monkeypatch):
    """Two writes fail, and so does the telling of it; the third one works."""
    written: list[str] = []
    answers = iter([OSError(28, "full"), OSError(28, "full")])
    gate = threading.Semaphore(0)

    def write(descriptor, data):
        gate.acquire()
        if (error := next(answers, None)) is not None:
            raise error
        written.append(bytes(data).decode())
        return len(data)

    monkeypatch.setattr("iiif_server.telemetry.logs.os.write", write)
    with log_output(NAME):
        for batch in (["one"], ["two", "three"], ["four"]):
            for line in batch:
                logger.info(line)
            deadline = time.monotonic() + 10
            gate.release()
            while gate._value and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.05)
        for _ in range(5):
            gate.release()
    text = "".join(written)

    assert "four" in text
    lost = [word for word in ("one", "two", "three") if f": {word}\n" not in text]
    confessed = re.findall(r" (\d+) log lines were dropped", text)
    assert sum(map(int, confessed)) == len(lost) > 0


def test_a_full_disk_costs_lines_and_nothing_else():
    before = LogOutput.dropped()
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with log_output(NAME, descriptor=descriptor):
            logger.info("lost")
    finally:
        os.close(descriptor)
    assert LogOutput.dropped() - before == 1


def test_a_pipe_that_somebody_made_non_blocking_gets_everything():
    with pipe() as (reader, writer):
        os.set_blocking(writer, False)
        lines: list[str] = []
        collector = threading.Thread(target=lambda: lines.extend(open(reader, closefd=False)))  # noqa: SIM115
        with log_output(NAME, descriptor=writer):
            for number in range(2000):
                logger.info("line %d %s", number, "x" * 100)
            time.sleep(0.05)
            collector.start()
            deadline = time.monotonic() + 30
            while len(lines) < 2000 and time.monotonic() < deadline:
                time.sleep(0.02)
        os.close(writer)
        collector.join(30)

    assert len(lines) == 2000


def test_a_mistake_in_a_message_is_a_line_and_no_error():
    with pipe() as (reader, writer):
        with log_output(NAME, descriptor=writer):
            logger.info("%d", "not a number")
            logger.info("the next one")
        lines = read_all(reader, writer)

    assert lines[0].startswith(f"a log line of {NAME}:")
    assert lines[1].endswith("the next one")
    assert len(lines) == 2


def test_what_cannot_be_encoded_is_written():
    with pipe() as (reader, writer):
        with log_output(NAME, "json", descriptor=writer):
            logger.info("%s", "\ud800")
        (line,) = read_all(reader, writer)

    assert json.loads(line)["message"] == "\ud800"


def test_the_owner_of_the_process_gets_no_line_twice_and_the_rest_untouched(caplog):
    caplog.set_level(logging.INFO)
    with pipe() as (reader, writer):
        with log_output(NAME, descriptor=writer):
            logger.info("ours")
            logging.getLogger("somebody.else").info("theirs")
        logger.info("afterwards")
        lines = read_all(reader, writer)

    assert [line.rsplit(": ")[1] for line in lines] == ["ours"]
    assert caplog.messages == ["theirs", "afterwards"]


def test_the_format_can_change_while_it_runs():
    with pipe() as (reader, writer):
        with log_output(NAME, descriptor=writer):
            logger.info("one")
            use_log_format("json")
            logger.info("two")
        one, two = read_all(reader, writer)

    assert one.endswith(": one")
    assert json.loads(two)["message"] == "two"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_access_log_has_a_switch_of_its_own(wanted):
    access = logging.getLogger(ACCESS_LOGGER)
    before = access.level
    logging.getLogger("iiif_server").setLevel(logging.ERROR)
    try:
        log_accesses(wanted)
        assert access.isEnabledFor(logging.INFO) is wanted
    finally:
        access.setLevel(before)
        logging.getLogger("iiif_server").setLevel(logging.NOTSET)
