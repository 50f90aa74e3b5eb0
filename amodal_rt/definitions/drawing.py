"""A graph as a picture: Mermaid, which GitHub, GitLab and most editors draw."""

from collections.abc import Iterator

from amodal_rt.domain.workflow import Node, NodeKind, ParallelWork, Workflow

_SHAPES = {
    NodeKind.TRIGGER: ("([", "])"),
    NodeKind.CONDITION: ("{", "}"),
    NodeKind.APPROVAL: ("{{", "}}"),
    NodeKind.WAIT: ("[/", "/]"),
    NodeKind.PARALLEL: ("[[", "]]"),
    NodeKind.WORKFLOW: ("[[", "]]"),
}
_PLAIN = ("[", "]")
_ARROWS = {
    "on_success": "-->",
    "on_error": "-. error .->",
    "on_true": "-- yes -->",
    "on_false": "-- no -->",
}
_LONGEST = 60
_SPECIAL = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}


def mermaid(workflow: Workflow) -> str:
    """A flowchart, one line for each node and each edge, in the order of the file.

    No text of the file can end its label or add a line.
    """
    names = {id: f"n{place}" for place, id in enumerate(workflow.nodes)}
    lines = ["flowchart TD"]
    lines += (f"    {names[node.id]}{_label(node)}" for node in workflow.nodes.values())
    for node in workflow.nodes.values():
        lines += (f"    {names[node.id]} {way} {names[to]}" for way, to in _ways(node))
    return "\n".join(lines) + "\n"


def _label(node: Node) -> str:
    before, after = _SHAPES.get(node.kind, _PLAIN)
    title = " ".join((node.title or node.id).split())
    cut = title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"
    safe = "".join(_SPECIAL.get(each, each) for each in cut if each.isprintable())
    return f'{before}"{safe}<br/>{node.kind}"{after}'


def _ways(node: Node) -> Iterator[tuple[str, str]]:
    for edge, to in node.edges:
        yield _ARROWS[edge], to
    if isinstance(node.work, ParallelWork):
        for branch in node.work.branches:
            yield "==>", branch
