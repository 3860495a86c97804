"""What the supervisor and its server processes tell each other: JSON objects, one a line, over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

_LONGEST: Final = 16 * 1024**2
"""A configuration file has 1 MiB at most, and JSON may grow a character sixfold."""


class Word(StrEnum):
    """What a message is about."""

    SERVE = "serve"
    """To a process, first of all: its orders, and whether its last descriptor is to ask for workers by."""
    RELOAD = "reload"
    """To a process: the text of another configuration."""
    END = "end"
    """To a process: answer what was asked, and end."""
    READY = "ready"
    """Of a process: it serves what it was told, or what it was told to reload; and how it logs."""
    REFUSED = "refused"
    """Of a process: why it can't serve that, as lines for the operator."""


class Control:
    """One end of the socket. The other end's death is the end of the messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Control:
        """Take over a connected socket."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=_LONGEST))

    def send(self, word: Word, **content: Any) -> None:
        """Send a message; one that nobody is left to read is lost."""
        self._writer.write(json.dumps({"word": word, **content}).encode() + b"\n")

    async def receive(self) -> Mapping[str, Any] | None:
        """The next message; ``None`` if the other end has gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Let go of the socket."""
        self._writer.close()
