"""The pages agree with the program and with each other."""

import re

import tree

from amodal_rt.domain.run import FailedReason, RunStatus, SkippedReason

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
DECISIONS = tree.ROOT / "docs" / "decisions"


def _glossary() -> str:
    return (tree.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_glossary_knows_every_status_and_reason() -> None:
    first_column = {
        word.strip()
        for line in _glossary().splitlines()
        if line.startswith("|")
        for word in line.split("|")[1].split(",")
    }
    reasons = set(re.findall(r"^\| [a-z, ]+ \| `(\w+)` \|", _glossary(), re.MULTILINE))

    assert {status.value for status in RunStatus} <= first_column
    assert {reason.value for reason in [*FailedReason, *SkippedReason]} <= reasons


def test_the_glossary_names_each_word_once() -> None:
    table = _glossary().split("## ")[0]
    words = [
        word.strip()
        for line in table.splitlines()[6:]
        if line.startswith("|")
        for word in re.split(r"[,/]", line.split("|")[1])
    ]

    assert sorted(words) == sorted(set(words))
    assert len(words) > 30


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for path in tree.tracked():
        if path.suffix != ".md" or "tests" in path.parts:
            continue
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if re.match(r"[a-z+]+:|#|<", target):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                broken.append(f"{tree.name(path)}: {target}")

    assert broken == []


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    files = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")

    assert [name[:4] for name in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    assert [name for name in files if f"]({name})" not in index] == []


def test_a_decision_carries_its_number_in_its_title() -> None:
    wrong = [
        path.name
        for path in DECISIONS.glob("[0-9]*.md")
        if not path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]}: ")
    ]

    assert wrong == []
