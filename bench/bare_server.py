"""The baseline of the webhook door: an aiohttp handler that reads the body and answers 202."""

import sys

from aiohttp import web


async def _accept(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"status": "accepted"}, status=202)


def main() -> None:
    """Serve on the port that the command line names; prints nothing."""
    app = web.Application()
    app.router.add_post("/hook", _accept)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
