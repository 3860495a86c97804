"""Read a configuration file as text. Apart from what understands it, which is not loaded for that."""

from __future__ import annotations

from pathlib import Path

from iiif_server.config.text import one_line
from iiif_server.errors import ConfigurationError

MAX_BYTES = 1024**2


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigurationError: the file can't be read.
    """
    label = one_line(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError([f"{label}: there is no such file"]) from None
    except IsADirectoryError:
        raise ConfigurationError([f"{label}: this is a directory; want a YAML file"]) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError([f"{label}: can't be read: {one_line(str(reason))}"]) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError([f"{label}: larger than {MAX_BYTES} bytes; is this the right file?"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{label}:{line}: not UTF-8 text; save the file as UTF-8"]) from None
