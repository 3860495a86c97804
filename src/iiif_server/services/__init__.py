"""The use cases: asyncio, no aiohttp type in or out."""
