"""A plugin of pytest: what is left behind on purpose is not waited for as long as what may still go."""

from iiif_server.testing import leaks

leaks.GRACE = 1.0
