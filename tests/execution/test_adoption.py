"""Who becomes the parent of orphans, and when."""

import ctypes
import os
import signal
import subprocess
import sys

import pytest

from iiif_server.execution.adoption import Ward, adopting
from iiif_server.execution.starting import can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system forks no workers")

_PR_GET_CHILD_SUBREAPER = 37

ORPHAN = """
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL
)
print(child.pid, flush=True)
sys.stdin.read()
"""


def adopts() -> bool:
    """What the kernel says of this process."""
    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def test_orphans_are_adopted_while_anybody_waits_for_one() -> None:
    assert not adopts()
    with adopting():
        with adopting():
            assert adopts()
        assert adopts()
    assert not adopts()


@pytest.mark.parametrize("is_wanted", [True, False])
def test_how_an_orphan_ended_is_known_to_those_who_adopted_it(is_wanted: bool) -> None:
    """It can be ended by others as well; waiting for it takes no longer than that, and may be repeated."""
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    ward = Ward(int(parent.stdout.readline()))
    if is_wanted:
        with adopting():
            parent.communicate()
    else:
        parent.communicate()
    ward.kill()
    ward.wait(30)
    ward.wait(30)
    ward.kill()

    assert ward.returncode == (-signal.SIGKILL if is_wanted else None)
    with pytest.raises(ChildProcessError):
        os.waitpid(ward.pid, os.WNOHANG)
