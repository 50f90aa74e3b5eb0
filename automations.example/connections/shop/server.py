"""A shop with one tool, `refund`, spoken to over MCP: each refund is a line of
`refunds.jsonl`, beside `amodal.json`."""

import json
import sys
from pathlib import Path

BOOK = Path("refunds.jsonl")
TOOL = {
    "name": "refund",
    "description": "Give the money of an order back.",
    "inputSchema": {
        "type": "object",
        "properties": {"order": {"type": "integer"}, "amount": {"type": "number"}},
        "required": ["order", "amount"],
    },
}


def answer(method: str, params: dict) -> dict:
    if method == "initialize":
        version, server = params["protocolVersion"], {"name": "shop", "version": "1"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        refund = params["arguments"]
        with BOOK.open("a", encoding="utf-8") as book:
            book.write(json.dumps(refund) + "\n")
        text = f"order {refund['order']}: {refund['amount']} given back"
        return {"content": [{"type": "text", "text": text}]}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = answer(asked["method"], asked.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
