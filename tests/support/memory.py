"""What a worker process takes while it works, as the kernel counts it; Linux only."""

from __future__ import annotations

import re
from pathlib import Path

from iiif_server.execution.messages import Outcome, Task
from iiif_server.execution.pool import WorkerPool


async def peak_memory(pool: WorkerPool, task: Task) -> tuple[int, Outcome]:
    """Have the only worker of a pool do a task; tells how many bytes more than before it took at the most."""
    pids = pool.status()["pids"]
    assert isinstance(pids, list)
    (pid,) = pids
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest value begins anew (proc_pid_clear_refs(5))
    before = _resident(pid, "VmRSS")
    outcome = await pool.run(task)
    return _resident(pid, "VmHWM") - before, outcome


def _resident(pid: int, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
