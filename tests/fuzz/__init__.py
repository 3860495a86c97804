"""Our own parsers of what strangers send, fed with whatever, by ``python -m tests.fuzz``."""

from tests.fuzz import addresses, contents

TARGETS = {target.name: target for target in (*addresses.TARGETS, *contents.TARGETS)}
"""By their names."""
