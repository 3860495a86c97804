"""Feed our parsers for a while: ``python -m tests.fuzz [--seconds 180] [NAME …]``.

Ends with 1 and the smallest input it found as soon as one of them does what it must not.
"""

import argparse
import itertools
import secrets
import time

from tests.fuzz import TARGETS

_AT_ONCE = 500


def main() -> None:
    """Feed each target for the time that is given."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; by default all")
    parser.add_argument("--seconds", type=float, default=180, help="for each (default: %(default)s)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    for name in arguments.names or TARGETS:
        first, until = secrets.randbits(32), time.monotonic() + arguments.seconds
        for turn in itertools.count():
            TARGETS[name].feed(_AT_ONCE, first + turn)
            if time.monotonic() >= until:
                break
        print(
            f"{name}: {(turn + 1) * _AT_ONCE} inputs in {arguments.seconds:g} s from seed {first}", flush=True
        )


if __name__ == "__main__":
    main()
