"""The kit for authors of profiles."""
