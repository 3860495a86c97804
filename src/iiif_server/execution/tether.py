"""What a process that forks others tells whoever asked for one. Imported by workers: no asyncio."""

from __future__ import annotations

import struct
from typing import Final

NUMBER: Final = struct.Struct("!i")
"""First the new process's id; over a tether with a descriptor of the process, and later its exit code."""

HERE: Final = NUMBER.pack(0)
"""The answer to a request without a worker."""
