"""Tests of pyramids as files."""
