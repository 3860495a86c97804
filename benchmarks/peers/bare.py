"""A bare aiohttp handler that sends as many constant bytes: ``python bare.py PORT BYTES``.

Several of them may listen on one port.
"""

import sys

from aiohttp import web


def main(port: int, size: int) -> None:
    """Serve until a signal ends it."""
    body = b"x" * size

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, reuse_port=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
