"""What hurts a real server: slow and silent clients, floods, storms. Slow; run by ``tox -e chaos``."""
