"""The repository speaks of itself alone: no machine's paths, no registry, no stray secret."""

import re
import tomllib

import tree

# Written in pieces, so that this file does not find itself.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"(?<![\w.~-])/wo" + "rk/",
            r"(?<![\w.~-])/tmp/pl" + "an",
            r"(?<![\w.~-])/opt/(?:whe" + r"els|pyp" + "i)",
            r"py" + r"pi\.(?:org|python\.org)",
            r"files\.python" + r"hosted\.org",
            r"registry\.npm" + r"js\.org",
            r"registry\.yarn" + r"pkg\.com",
            r"(?:deb|security)\.deb" + r"ian\.org",
            r"far" + r"m-[a-z0-9]+-[a-z0-9]+",
        ]
    )
)
KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KE" + "Y-----")


def _matches(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tree.tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [
            f"{tree.name(path)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if pattern.search(line)
        ]
    return found


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    assert _matches(FORBIDDEN) == []


def test_no_file_holds_a_private_key() -> None:
    assert _matches(KEY) == []


def test_no_file_is_larger_than_a_megabyte() -> None:
    assert [tree.name(path) for path in tree.tracked() if path.stat().st_size > 1_000_000] == []


def test_state_and_secrets_are_ignored() -> None:
    kept = [
        tree.name(path)
        for path in tree.tracked()
        if path.name == ".env" or ".amodal-rt" in path.parts or path.name == "uv.lock"
    ]

    assert kept == []


def test_the_pattern_finds_what_it_should() -> None:
    """Guards the first test: a pattern that matches nothing would pass for ever."""
    assert FORBIDDEN.search("see " + "/work" + "/main")
    assert FORBIDDEN.search("https://py" + "pi.org/simple")
    assert not FORBIDDEN.search("docs/work/plan.md and ~/work/notes")


def _pins(lock: str) -> dict[str, str]:
    """`{normalised name: version}`; fails on a line that is neither a pin nor its hashes."""
    pins: dict[str, str] = {}
    hashed: set[str] = set()
    current = ""
    for line in (tree.ROOT / lock).read_text(encoding="utf-8").splitlines():
        if pin := re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+?)(?: ; .+?)? \\", line):
            current = re.sub(r"[-_.]+", "-", pin[1]).lower()
            pins[current] = pin[2]
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line), f"{lock}: {line}"
            hashed.add(current)
    assert hashed == set(pins)
    return pins


def _declared(*, extra: str | None) -> set[str]:
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements: list[str] = list(project["dependencies"])
    if extra:
        requirements += project["optional-dependencies"][extra]
    names = (re.split(r"[\[<>=;~! ]", requirement)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_the_locks_pin_and_hash_all_that_is_declared_and_nothing_else() -> None:
    runtime, development = _pins("requirements.lock"), _pins("requirements-dev.lock")
    build = _pins("requirements-build.lock")

    assert _declared(extra=None) <= runtime.keys()
    assert _declared(extra="dev") <= development.keys()
    assert runtime.items() <= development.items()
    assert build.items() <= development.items()
