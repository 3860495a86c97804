"""Where images come from: the profile contract, the configured instances, and the disk profile."""
