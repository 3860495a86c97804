"""Derivatives in memory and on disk, their keys, and single flight."""
