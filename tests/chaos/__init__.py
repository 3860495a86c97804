"""What people, programs, files and disks do to a server, done to a real one. Run by ``tox -e chaos``."""
