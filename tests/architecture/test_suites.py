"""Every folder of tests is run by `make test`, `make attack` or `make reliability`."""

import tomllib

import tree

ELSEWHERE = {"tests/attack", "tests/reliability"}


def test_no_folder_of_tests_is_forgotten() -> None:
    options = tomllib.loads((tree.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    run = set(options["ini_options"]["testpaths"])
    there = {
        tree.name(path) for path in (tree.ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))
    }

    assert there - ELSEWHERE == run
    assert not run & ELSEWHERE
