"""The IIIF specifications as pure functions and frozen dataclasses: no I/O, no aiohttp, no codec."""
