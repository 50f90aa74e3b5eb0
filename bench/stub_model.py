"""A provider that answers at once and notes when each request arrived; a process of its own."""

import json
import sys
import time
from pathlib import Path

from aiohttp import web

_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "done"},
        }
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


def main() -> None:
    """`PORT FILE`: each arrival's wall-clock time becomes a line of FILE."""
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    arrivals = file.open("a", buffering=1)

    async def complete(request: web.Request) -> web.Response:
        at = time.time()
        await request.read()
        arrivals.write(json.dumps(at) + "\n")
        return web.json_response(_ANSWER)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
