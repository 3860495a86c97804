"""Tests of the image work."""
