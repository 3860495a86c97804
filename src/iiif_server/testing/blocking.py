"""Find what blocks the event loop, with `blockbuster <https://github.com/cbornet/blockbuster>`_."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

MAY_BLOCK: tuple[tuple[str, frozenset[str]], ...] = (
    # An import inside a function happens once.
    ("<frozen importlib._bootstrap>", frozenset({"_find_and_load"})),
    # Starting a child waits until it was executed, as asyncio's own subprocesses do.
    ("subprocess.py", frozenset({"_execute_child"})),
)
"""File and functions below which blocking is nobody's fault."""


@contextmanager
def forbid_blocking(
    modules: Sequence[str | ModuleType],
    *,
    besides: Iterable[tuple[str, Iterable[str]]] = (),
) -> Iterator[Any]:
    """Raise ``blockbuster.BlockingError`` where code of these modules blocks a running event loop.

    Args:
        modules: a call is theirs if one of them is anywhere on the stack; this kit's own calls never count.
        besides: file and functions below which blocking is allowed, besides :data:`MAY_BLOCK`.

    Raises:
        ImportError: blockbuster is not installed.
    """
    from blockbuster import blockbuster_ctx

    with blockbuster_ctx(list(modules), excluded_modules=["iiif_server.testing"]) as blockbuster:
        for function in blockbuster.functions.values():
            for filename, functions in (*MAY_BLOCK, *besides):
                function.can_block_in(filename, functions)
        yield blockbuster
