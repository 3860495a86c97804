"""Workers without a fork server: what systems do that can't fork them."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from iiif_server.execution import keeper
from tests.execution.conftest import PoolMaker, pids, task


@pytest.fixture(autouse=True)
def no_forking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "can_fork", lambda: False)


async def test_each_worker_is_an_interpreter_of_its_own(make_pool: PoolMaker) -> None:
    """A child of the server, as the system sees it."""
    before = {child.pid for child in psutil.Process().children()}  # of other tests in this process
    pool = await make_pool(workers=2)

    assert {child.pid for child in psutil.Process().children()} - before == set(pids(pool))


async def test_one_that_is_killed_is_replaced(make_pool: PoolMaker, gate: Path) -> None:
    pool = await make_pool(workers=1)
    (before,) = pids(pool)
    running = asyncio.create_task(pool.run(task("wait_while", str(gate))))
    await asyncio.sleep(0.05)
    os.kill(before, signal.SIGKILL)
    gate.unlink()

    assert (await asyncio.wait_for(running, 20)).meta["pid"] != before


async def test_one_whose_factory_takes_it_down_is_told(make_pool: PoolMaker) -> None:
    with pytest.raises(Exception, match="before it was ready"):
        await make_pool("vanish")
