"""What is left behind is found, and what goes away is not."""

import asyncio
import os
import subprocess
import threading

from iiif_server.testing import leaks
from iiif_server.testing.leaks import Resources


def test_nothing_is_left_behind():
    assert Resources.now().left_behind() == []


def test_what_is_left_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(leaks, "GRACE", 0.05)
    before = Resources.now()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    child = subprocess.Popen(["sleep", "60"])
    try:
        found = before.left_behind()
    finally:
        stop.set()
        thread.join()
        os.close(descriptor)
        child.kill()
        child.wait()

    assert sorted(found) == [f"child process {child.pid}", f"open file {tmp_path}", "thread forgotten"]
    assert before.left_behind() == []


def test_what_ends_soon_is_waited_for():
    before = Resources.now()
    threading.Timer(0.1, lambda: None).start()

    assert before.left_behind() == []


async def test_tasks_are_found_on_the_loop(monkeypatch):
    monkeypatch.setattr(leaks, "GRACE", 0.05)
    before = Resources.now()
    task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
    await asyncio.to_thread(lambda: None)  # whose thread is the loop's own
    found = await before.left_behind_by_now()
    task.cancel()
    await asyncio.wait([task])

    assert len(found) == 1
    assert "forgotten" in found[0]
    assert await before.left_behind_by_now() == []
