"""How a log record becomes one line: for people, or as JSON for machines."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final, Literal

from iiif_server.telemetry.timings import CURRENT

LogFormat = Literal["human", "json"]

FIELDS: Final = "fields"
"""``logger.info(…, extra={FIELDS: {…}})`` adds these keys to a line of JSON."""

_LONGEST: Final = 16_000


def printable(text: str) -> str:
    """The text without anything that could end, hide or turn a line: such characters become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, length: int = _LONGEST) -> str:
    """At most so many characters, which a mark at the end says."""
    return text if len(text) <= length else text[: length - 1] + "…"


class HumanFormatter(logging.Formatter):
    """``time level logger [request id]: message``. Lines of a traceback follow, each indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several if there is a traceback."""
        trace = CURRENT.get()
        about = record.name if trace is None else f"{record.name} [{trace.request_id}]"
        message = printable(shortened(record.getMessage()))
        lines = [f"{_time(record)} {record.levelname} {about}: {message}"]
        lines += [f"    {printable(line)}" for line in _details(record).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object on one line of ASCII: whatever is in it, no reader can take it for two."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": shortened(record.getMessage()),
        }
        if (trace := CURRENT.get()) is not None:
            said["request_id"] = trace.request_id
        if isinstance(fields := getattr(record, FIELDS, None), dict):
            said |= {name: value for name, value in fields.items() if name not in said}
        if details := _details(record):
            said["exception"] = details
        return json.dumps(said, default=str)


FORMATTERS: Final[dict[LogFormat, type[logging.Formatter]]] = {
    "human": HumanFormatter,
    "json": JsonFormatter,
}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _details(record: logging.LogRecord) -> str:
    """The traceback and the stack that go with a record, the end of them if they are long."""
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)[-_LONGEST:]
