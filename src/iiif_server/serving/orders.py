"""What is to be served, and by which of the server's processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from iiif_server.config.reading import read_text


@dataclass(frozen=True, slots=True)
class Orders:
    """What a server process serves.

    Attributes:
        directory: every image below it, without a configuration; or ``None``.
        config: the configuration file, if there is one.
        text: its content. Processes that are started later get the same, whatever the file says by then.
        process: the number of this process, from 0.
        processes: how many there are.
    """

    directory: str | None = None
    config: str | None = None
    text: str | None = None
    process: int = 0
    processes: int = 1

    def say_the_same_as(self, other: Orders) -> bool:
        """Whether both are of one configuration, to whichever processes."""
        return replace(self, process=other.process) == other


def read_orders(directory: Path | None, config: Path | None, processes: int = 1) -> Orders:
    """Read what a command line names.

    Raises:
        ConfigurationError: the configuration file can't be read.
    """
    if config is not None:
        return Orders(config=str(config), text=read_text(config), processes=processes)
    return Orders(directory=str(directory), processes=processes)
