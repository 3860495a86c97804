"""Clients that keep their connections, forgive nothing and try nothing twice."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class StrictClients:
    """Threads that ask for paths in turn, each over one connection for as long as the server keeps it.

    An aiohttp client asks again when a connection that it kept turns out to be closed; these count that.

    Attributes:
        outcomes: how often each status or error came.
    """

    def __init__(self, port: int, paths: list[str], clients: int = 4) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._paths = paths
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    @property
    def failures(self) -> dict[str, int]:
        """Every outcome but success."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200"}

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Keep asking while the block runs; then every request begun is waited for."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def answered(self, count: int) -> None:
        """Wait until so many more requests have an outcome."""
        goal = self.outcomes.total() + count
        deadline = time.monotonic() + 60
        while self.outcomes.total() < goal and time.monotonic() < deadline:
            time.sleep(0.02)

        assert self.outcomes.total() >= goal

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            number += 1
            try:
                connection.request("GET", self._paths[number % len(self._paths)])
                response = connection.getresponse()
                response.read()
                self.outcomes[str(response.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[type(error).__name__] += 1
                connection.close()
        connection.close()
