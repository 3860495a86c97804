"""The tests; a test's path is its subject's path."""
