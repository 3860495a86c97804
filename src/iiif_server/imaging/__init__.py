"""The image work, run in workers: synchronous, importable without asyncio and aiohttp."""
