"""Who opens connections at all: every road outwards but these goes through the egress guard."""

import ast

import tree

_OPENERS = {
    "ClientSession", "AsyncClient", "Client", "TCPConnector", "create_connection",
    "open_connection", "urlopen", "HTTPConnection", "HTTPSConnection", "getaddrinfo",
}  # fmt: skip
_ROADS = {
    # The guard itself.
    "guardrails/egress.py": {"ClientSession", "TCPConnector", "open_connection"},
    # Model providers are the operator's own choice (specification §6.3).
    "executors/agent/models.py": {"AsyncClient"},
    # MCP: the library's client over a transport that carries every request through the guard.
    "executors/acting/mcp_transport.py": {"AsyncClient"},
    "executors/acting/mcp_server.py": {"Client"},
    # Programs that reach a daemon: the command line, and users' own.
    "daemon/examining.py": {"Client"},
    "api/transport.py": {"ClientSession", "TCPConnector"},
    "client.py": {"Client", "create_connection"},
}


def _opened(path: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((tree.PACKAGE / path).read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            found |= {name} & _OPENERS if name else set()
    return found


def test_every_road_outwards_goes_through_the_guard_or_is_named_here() -> None:
    files = sorted(each.relative_to(tree.PACKAGE).as_posix() for each in tree.PACKAGE.rglob("*.py"))
    roads = {each: opened for each in files if (opened := _opened(each))}

    ours = {name: opened for name, opened in roads.items() if not name.startswith("testing/")}
    assert ours == _ROADS
