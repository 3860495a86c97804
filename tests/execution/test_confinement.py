"""What processes do to themselves, seen in processes of their own."""

import os
import subprocess
import sys

import pytest

MIB = 1 << 20

HOLES = """
import threading
from iiif_server.execution.confinement import MemoryGauge, give_back_what_is_freed
if {wanted}:
    give_back_what_is_freed()
gauge, small = MemoryGauge(), []

def read(size):
    bodies = []
    for _ in range(40):
        bodies.append(bytes(size))
        small.append(bytes(700))
    del bodies[:]

def read_in_a_thread(size):
    thread = threading.Thread(target=read, args=(size,))
    thread.start()
    thread.join()

before = gauge.read()
for size in (200_000, 400_000, 1_000_000, 300_000, 900_000):
    read(size)
    read_in_a_thread(size)
print(gauge.read() - before)
"""


def growth(*, wanted: bool, **environment: str) -> int:
    """Bytes that a process has more once it has let go of images of several sizes."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    script = HOLES.format(wanted=wanted)
    run = subprocess.run(
        [sys.executable, "-c", script], env=plain | environment, check=True, capture_output=True, text=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_what_is_freed_goes_back() -> None:
    assert growth(wanted=True) < 2 * MIB
    assert growth(wanted=False) > 5 * MIB


@pytest.mark.skipif(sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None, reason="not glibc")
def test_the_environment_has_the_last_word() -> None:
    """An operator who measured something else."""
    assert growth(wanted=True, MALLOC_ARENA_MAX="8") > 5 * MIB
