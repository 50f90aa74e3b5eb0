"""Modules and classes are named by what they are; nothing hides behind a vague word."""

import ast
import re

import tree

VAGUE = {
    "base", "common", "core", "handler", "handlers", "helper", "helpers", "manager", "managers",
    "misc", "processor", "processors", "util", "utils",
}  # fmt: skip


def _words(identifier: str) -> set[str]:
    """`HTTPRequestHandler` and `request_handler` alike give request and handler."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_", " ", identifier)
    return {word.lower() for word in spaced.split()}


def test_no_module_has_a_vague_name() -> None:
    found = [
        tree.name(path)
        for path in tree.sources()
        for part in path.relative_to(tree.PACKAGE).with_suffix("").parts
        if _words(part) & VAGUE
    ]

    assert found == []


def test_no_class_has_a_vague_name() -> None:
    found = [
        f"{tree.name(path)}:{node.lineno} {node.name}"
        for path in tree.sources()
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.ClassDef) and _words(node.name) & VAGUE
    ]

    assert found == []


def test_words_of_a_name_are_told_apart() -> None:
    """Guards the two tests above: a pattern that splits nothing would find nothing."""
    assert _words("HTTPRequestHandler") == {"http", "request", "handler"}
    assert _words("run_manager") == {"run", "manager"}
    assert _words("database") == {"database"}
