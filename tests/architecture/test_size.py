"""Files and functions stay small enough to be read in one go."""

import ast

import tree

FILE_LINES = 400
FUNCTION_LINES = 50


def _code_lines(text: str) -> int:
    """Lines that are neither blank nor part of a docstring."""
    documented = tree.docstring_lines(ast.parse(text))
    return sum(
        1
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and number not in documented
    )


def _long_functions(text: str) -> dict[str, int]:
    module = ast.parse(text)
    documented = tree.docstring_lines(module)
    found: dict[str, int] = {}
    for function in tree.functions(module):
        span = range(function.lineno, (function.end_lineno or function.lineno) + 1)
        lines = len(set(span) - documented)
        if lines > FUNCTION_LINES:
            found[f"{function.name} at line {function.lineno}"] = lines
    return found


def test_no_file_has_more_than_400_lines_of_code() -> None:
    counted = {
        tree.name(path): _code_lines(path.read_text(encoding="utf-8"))
        for path in (*tree.sources(), *tree.tests())
    }

    assert {name: lines for name, lines in counted.items() if lines > FILE_LINES} == {}


def test_no_function_has_more_than_50_lines_of_code() -> None:
    counted = {
        tree.name(path): _long_functions(path.read_text(encoding="utf-8"))
        for path in tree.sources()
    }

    assert {name: found for name, found in counted.items() if found} == {}


def test_lines_are_counted_without_docstrings_and_blanks() -> None:
    """Guards the two tests above: a count that forgets lines would find nothing."""
    body = "".join(f"    x = {number}\n" for number in range(50))
    text = f'def long() -> None:\n    """One\n    two.\n    """\n\n{body}'

    assert _code_lines(text) == 51
    assert _long_functions(text) == {"long at line 1": 52}
