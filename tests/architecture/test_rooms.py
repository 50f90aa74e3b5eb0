"""Each room says in its `__init__` what it is, and no import hides from the layers."""

import ast

import tree


def test_every_room_says_what_it_is() -> None:
    silent = [
        tree.name(path)
        for path in tree.sources()
        if path.name == "__init__.py" and not ast.get_docstring(tree.parse(path))
    ]

    assert silent == []


def test_every_folder_is_a_room() -> None:
    """A folder without `__init__` would stand outside the layers contract."""
    folders = {path.parent for path in tree.sources()}

    assert [tree.name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_import_is_hidden_from_the_interpreter() -> None:
    hiding = [
        tree.name(path)
        for path in tree.sources()
        for node in ast.walk(tree.parse(path))
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
    ]

    assert hiding == []


def test_no_test_uses_mocks() -> None:
    """Doubles live in amodal_rt.testing and pass the contract suite of what they stand for."""
    mocking = []
    for path in tree.tests():
        for node in ast.walk(tree.parse(path)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            if any(f"{module}.".startswith("unittest.mock.") for module in modules):
                mocking.append(tree.name(path))

    assert mocking == []
