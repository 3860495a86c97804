"""Room for connections in the number of open files; in a process of its own, whose limit stays lowered."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, resource, sys
from iiif_server.serving.descriptors import make_room
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(make_room({connections}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "room", "after"),
    [
        (1024, 4096, 1000, 1000, 2256),  # raised as far as it is needed
        (4096, 4096, 1000, 1000, 4096),  # enough
        (1024, 1024, 1000, 384, 1024),  # as many as there is room for
        (100, 100, 1000, 1, 100),
    ],
)
def test_room_is_made_as_far_as_the_system_allows(soft, hard, connections, room, after):
    program = PROGRAM.format(soft=soft, hard=hard, connections=connections)
    ended = subprocess.run(
        [sys.executable, "-c", program], timeout=30, capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == [str(room), str(after)]
    assert ("max_connections" in ended.stderr) == (room < connections)
