"""Several server processes on the same sockets: started, replaced, reloaded one after the other, ended.

This process answers no request. Neither does what server processes are forked from, nor what their workers
are, which all processes share. It loads neither a web framework, nor plugins, nor codecs: nothing that a
client or a source sends can reach it, so that what dies is always replaced.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from iiif_server.config.reading import read_text
from iiif_server.errors import ConfigurationError
from iiif_server.execution.keeper import ForkServerKeeper
from iiif_server.execution.settings import IMAGE_WORK
from iiif_server.execution.starting import can_fork
from iiif_server.serving.counting import counting_directory, end_of_process
from iiif_server.serving.listening import announce, listen
from iiif_server.serving.logs import NOTHING_TO_RELOAD, log_refusal, logging_to_standard_error
from iiif_server.serving.orders import Orders
from iiif_server.serving.place import Place
from iiif_server.serving.process import START_SECONDS
from iiif_server.serving.signals import END_SECONDS, Signals, exit_at_once
from iiif_server.serving.spawning import Spawner
from iiif_server.serving.tally import tally_file
from iiif_server.telemetry.sharing import multiprocess_environment

logger = logging.getLogger(__name__)

_START_ATTEMPTS: Final = 3
_RESTART_ATTEMPTS: Final = 8


def run_supervisor(orders: Orders, host: str, port: int) -> int:
    """Keep server processes until a signal ends them; returns the exit code.

    Raises:
        ConfigurationError: they can't start, or none of them any more.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing to reload before the first start
    with ExitStack() as stack:
        counts = stack.enter_context(counting_directory())
        spawner = Spawner({**os.environ, **(multiprocess_environment(counts) if counts else {})})
        stack.callback(spawner.close)
        spawner.prepare(orders)
        stack.enter_context(logging_to_standard_error())
        sockets = [stack.enter_context(sock) for sock in listen(host, port)]
        tally = stack.enter_context(tally_file(orders.processes))
        return asyncio.run(_supervise(orders, tally, sockets, spawner, counts))


async def _supervise(
    orders: Orders, tally: int, sockets: Sequence[socket.socket], spawner: Spawner, counts: Path | None
) -> int:
    return await Supervisor(orders, tally, sockets, spawner, counts).run()


class Supervisor:
    """Keeps the server processes.

    Args:
        orders: what they serve, and how many they are.
        tally: descriptor of the tally of their connections.
        sockets: that they listen on.
        spawner: starts them.
        counts: a directory in which they count together.

    Attributes:
        orders: what they serve at present.
        spawner: starts them.
    """

    def __init__(
        self,
        orders: Orders,
        tally: int,
        sockets: Sequence[socket.socket],
        spawner: Spawner,
        counts: Path | None = None,
    ) -> None:
        self.orders = orders
        self.spawner = spawner
        self._counts = counts
        self._sockets = sockets
        self._places = [Place(index, self, tally, sockets) for index in range(orders.processes)]
        self._one_ready = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = ForkServerKeeper(IMAGE_WORK, START_SECONDS) if can_fork() else None

    async def run(self) -> int:
        """Serve until a signal says to end.

        Raises:
            ConfigurationError: the processes can't start, or none of them any more.
        """
        signals = Signals(self._end_at_once)
        keepers = [asyncio.create_task(place.keep()) for place in self._places]
        work = asyncio.create_task(self._announce_and_reload(signals.reload))
        end = asyncio.create_task(signals.end.wait())
        try:
            await asyncio.wait((work, end, self._failed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, end):
                task.cancel()
            ended_well = await self._close(keepers)
            if self._keeper:
                await self._keeper.close()
        if self._failed.done():
            self._failed.result()
        return 0 if ended_well else 1

    # What the places ask and tell.

    @property
    def fork_server(self) -> socket.socket | None:
        """What the server processes ask for workers by."""
        return self._keeper.requests if self._keeper else None

    async def on_end(self, process_id: int) -> None:
        """A process has gone."""
        if self._counts:
            await asyncio.to_thread(end_of_process, self._counts, process_id)

    def on_ready(self) -> None:
        """A process serves."""
        self._one_ready.set()
        if all(place.serves for place in self._places):
            self._all_ready.set()
            # It shares its memory no longer: processes have made their own of what they have written to.
            self.spawner.close()

    def on_failure(self, place: Place, problems: Sequence[str], *, explained: bool) -> None:
        """A process ended before it served. What can't start at all ends the server, and says why."""
        if self._all_ready.is_set():
            is_hopeless = place.failures + 1 >= _RESTART_ATTEMPTS and not any(p.serves for p in self._places)
        else:
            is_hopeless = explained or place.failures + 1 >= _START_ATTEMPTS
        if not is_hopeless:
            logger.error("a server process did not start: %s", "; ".join(problems))
        elif not self._failed.done():
            self._failed.set_exception(ConfigurationError(list(problems)))

    # Reloading and ending.

    async def _announce_and_reload(self, wanted: asyncio.Event) -> None:
        await self._all_ready.wait()
        announce(self._sockets)
        while True:
            await wanted.wait()
            wanted.clear()
            if self.orders.config is None:
                logger.info(NOTHING_TO_RELOAD)
                continue
            try:
                text = await asyncio.to_thread(read_text, Path(self.orders.config))
            except ConfigurationError as error:
                log_refusal(error.problems)
            else:
                await self._reload(replace(self.orders, text=text))

    async def _reload(self, orders: Orders) -> None:
        """One process after the other. What the first one refuses, the others are not asked for."""
        while not any(place.serves for place in self._places):  # all of them are being replaced
            self._one_ready.clear()
            await self._one_ready.wait()
        for place in self._places:
            problems = await place.reload(orders)
            if not problems:
                self.orders = orders  # from now on, what starts has these
            elif self.orders is orders:
                logger.warning("a server process is replaced, as it did not reload: %s", "; ".join(problems))
                place.replace()
            elif place.serves:
                log_refusal(problems)
                return
        if self.orders is orders:
            logger.info("the configuration was reloaded")
        else:
            log_refusal(["the server processes ended over it"])

    async def _close(self, keepers: Sequence[asyncio.Task[None]]) -> bool:
        """Have every process end well; says whether all did."""
        for sock in self._sockets:
            sock.close()
        for place in self._places:
            place.close()
            if self._failed.done():
                place.kill()  # it serves nobody
        _, late = await asyncio.wait(keepers, timeout=END_SECONDS + 0.5)
        if late:
            self.spawner.close()  # it may be that
            for place in self._places:
                place.kill()
        for keeper in keepers:
            with suppress(asyncio.CancelledError):
                await keeper
        return not late

    def _end_at_once(self, number: int) -> None:
        for place in self._places:
            place.kill()
        exit_at_once(number)
