"""One worker as the server sees it: what is told of a worker that ended before anybody noticed."""

from collections.abc import AsyncIterator

import pytest

from iiif_server.execution.messages import Orders
from iiif_server.execution.process import WorkerProcess
from iiif_server.execution.starting import Interpreters


class ClosedTransport:
    """uvloop's transport between the end of a socket and the report of it."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <UnixTransport>; the handler is closed")


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    source = Interpreters()
    yield WorkerProcess(source, Orders("nothing:here", b"", None, 1), lambda header, body: None)
    await source.close()


async def test_a_task_for_a_worker_that_has_just_ended_counts_as_unread(worker: WorkerProcess) -> None:
    """So the pool gives it to another one, instead of failing its client."""
    worker.connection_made(ClosedTransport())  # type: ignore[arg-type]
    worker.send(b"task")

    assert not worker.ended.is_set()
    worker.connection_lost(None)
    assert worker.unread
    assert worker.ended.is_set()


async def test_a_plain_end_is_not_unread(worker: WorkerProcess) -> None:
    """Then the task was read, and the worker died over it."""
    worker.connection_lost(None)
    assert not worker.unread
