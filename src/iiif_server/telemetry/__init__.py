"""What the server tells of itself: log lines, counters, and how long each step of a request took."""
