"""Tests of reading and writing rights and credit."""
