"""A full or read-only disk where none can be mounted: the directory of this file goes to PYTHONPATH.

Loaded as ``sitecustomize`` by every Python process that is started so. While the file that ``DISK_FAULT``
names is there and holds the name of an error, whatever is written below its directory fails with that.
"""

SOURCE = """
import errno, os

_FLAG = os.environ["DISK_FAULT"]
_BELOW = os.path.dirname(_FLAG) + os.sep
_open, _write = os.open, os.write


def _check(path):
    if path.startswith(_BELOW) and path != _FLAG and os.path.exists(_FLAG):
        with open(_FLAG) as flag:
            code = getattr(errno, flag.read().strip())
        raise OSError(code, os.strerror(code), path)


def write(fd, data):
    _check(os.path.realpath(f"/proc/self/fd/{fd}"))
    return _write(fd, data)


def open_(path, flags, mode=0o777, *, dir_fd=None):
    if flags & os.O_CREAT:
        base = "" if dir_fd is None else os.path.realpath(f"/proc/self/fd/{dir_fd}")
        _check(os.path.join(base, os.fsdecode(path)))
    return _open(path, flags, mode, dir_fd=dir_fd)


os.write, os.open = write, open_
"""
