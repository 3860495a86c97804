"""Real server processes and real browsers."""
