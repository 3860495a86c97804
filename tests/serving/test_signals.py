"""The promise that the server ends."""

import subprocess
import sys

HANGING = """
import threading
from iiif_server.serving.signals import end_within
threading.Thread(target=threading.Event().wait).start()
end_within(0.1)
"""


def test_a_thread_that_hangs_does_not_keep_the_process():
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], timeout=30, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "did not end" in ended.stderr
