"""Tests of the store of fetched sources."""
