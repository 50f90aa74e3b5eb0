"""Files of `profiles/`: what they say, and what is refused with its place."""

import json

import pytest

from amodal_rt.definitions.profile import parse_profile, reread_profile
from amodal_rt.domain.connection import Intent
from amodal_rt.domain.profile import (
    Isolation,
    Mount,
    NetworkHost,
    Profile,
    ProfileName,
    find_profile,
    parse_reference,
)
from amodal_rt.domain.secret import SecretRef

FILE = "profiles/build/3.json"


def parsed(**content: object) -> Profile:
    profile, problems = parse_profile(json.dumps(content).encode(), file=FILE)
    assert profile is not None, problems
    return profile


def test_an_empty_file_is_a_sandbox_without_network_and_mounts() -> None:
    profile = parsed()

    assert (profile.name, profile.version, profile.label) == ("build", 3, "build@3")
    assert profile.isolation is Isolation.BUBBLEWRAP
    assert (profile.network, profile.mounts, profile.environment) == ((), (), {})
    assert profile.harms is None


def test_everything_that_a_file_says_is_read() -> None:
    profile = parsed(
        base="images/debian",
        mounts=[{"source": "data", "target": "/data"}, {"source": "/opt/x", "target": "/x"}],
        environment={"A": "b", "TOKEN": "env:SOME_TOKEN"},
        network=["api.example", "*.b.example:8443", {"host": "[fd00::1]:80", "intent": "read"}],
        memoryMb=64, cpus=0.5, processes=7, timeoutSeconds=9, outputBytes=100,
        tools=["bash"], agent="coder", connections=["crm"],
    )  # fmt: skip

    assert profile.base == "images/debian"
    assert profile.mounts[0] == Mount(source="data", target="/data")
    assert profile.environment == {"A": "b", "TOKEN": SecretRef("SOME_TOKEN")}
    assert profile.secrets == ("SOME_TOKEN",)
    assert profile.network == (
        NetworkHost(host="api.example"),
        NetworkHost(host="*.b.example", port=8443),
        NetworkHost(host="fd00::1", port=80, intent=Intent.READ),
    )
    assert (profile.bounds.memory, profile.bounds.cpus) == (64 * 1024 * 1024, 0.5)
    assert (profile.tools, profile.agent, profile.connections) == (("bash",), "coder", ("crm",))


def test_the_hash_is_that_of_what_is_said_not_of_white_space() -> None:
    one, _ = parse_profile(b'{"$schema": "x", "cpus": 1, "processes": 5}', file=FILE)
    other, _ = parse_profile(b'{\n "processes": 5,\n "cpus": 1}', file=FILE)

    assert one is not None
    assert other is not None
    assert one.hash == other.hash != parsed(cpus=2).hash
    assert reread_profile(one.document, file=FILE) == one


@pytest.mark.parametrize(
    ("content", "harm"),
    [
        ({"network": [{"host": "x", "intent": "read"}]}, None),
        ({"mounts": [{"source": "data", "target": "/data"}]}, None),
        ({"network": ["x"]}, "it may reach x:443"),
        ({"mounts": [{"source": "data", "target": "/d", "writable": True}]}, "/d is writable"),
        ({"isolation": "none"}, "it runs without isolation"),
    ],
)
def test_what_a_program_in_it_could_change_is_known(
    content: dict[str, object], harm: str | None
) -> None:
    assert parsed(**content).harms == harm


WRITABLE = {"target": "/x", "writable": True}


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ({"isolation": "docker"}, "wrong_value", "isolation"),
        ({"networks": []}, "unknown_key", "network"),
        ({"isolation": "none", "network": ["x"]}, "conflict", "network cannot be held"),
        ({"isolation": "none", "mounts": [{"source": "a", "target": "/a"}]}, "conflict", "mounts"),
        ({"isolation": "none", "base": "image"}, "conflict", "base"),
        ({"mounts": [{"source": "../x", "target": "/x"}]}, "bad_mount", "plain path"),
        ({"mounts": [{"source": ".amodal-rt", "target": "/x"}]}, "bad_mount", "state"),
        ({"mounts": [{"source": "/proc", "target": "/x"}]}, "bad_mount", "kernel"),
        ({"mounts": [{"source": "/sys/fs", "target": "/x"}]}, "bad_mount", "kernel"),
        ({"mounts": [{"source": "x", "target": "x"}]}, "bad_mount", "absolute"),
        ({"mounts": [{"source": "x", "target": "/a/../x"}]}, "bad_mount", "absolute"),
        ({"mounts": [{"source": "x", "target": "/proc/self"}]}, "bad_mount", "own"),
        ({"mounts": [{"source": "x", "target": "/x"}] * 2}, "bad_mount", "twice"),
        ({"mounts": [{"source": ".", **WRITABLE}]}, "bad_mount", "workspace itself"),
        ({"mounts": [{"source": "automations", **WRITABLE}]}, "bad_mount", "definitions"),
        ({"mounts": [{"source": "profiles/a", **WRITABLE}]}, "bad_mount", "definitions"),
        ({"mounts": [{"source": ".env", **WRITABLE}]}, "bad_mount", "definitions"),
        ({"network": ["https://x"]}, "bad_host", "no port"),
        ({"network": ["x:0"]}, "bad_host", "port"),
        ({"network": ["a*b"]}, "bad_host", "no host"),
        ({"network": ["x/y"]}, "bad_host", "no host"),
        ({"network": ["u@x"]}, "bad_host", "no host"),
        ({"network": ["X.example"]}, "bad_host", "no host"),
        ({"environment": {"AMODAL_RT_CAUSE": "x"}}, "wrong_value", "own"),
        ({"environment": {"https_proxy": "x"}}, "conflict", "own"),
        ({"environment": {"A-B": "x"}}, "wrong_value", "variable"),
        ({"memoryMb": 1}, "wrong_value", "memoryMb"),
        ({"tools": ["zsh"]}, "wrong_value", "tools"),
    ],
)
def test_what_cannot_be_held_is_refused(content: dict[str, object], code: str, said: str) -> None:
    profile, problems = parse_profile(json.dumps(content, indent=1).encode(), file=FILE)

    assert profile is None
    assert (problems[0].code, problems[0].file) == (code, FILE)
    assert said in problems[0].sentence()
    assert (problems[0].line or 0) > 1


@pytest.mark.parametrize(
    "file", ["profiles/build/v1.json", "profiles/build/0.json", "profiles/Build/1.json"]
)
def test_a_file_whose_name_is_no_version_is_refused(file: str) -> None:
    profile, [problem] = parse_profile(b"{}", file=file)

    assert profile is None
    assert problem.code == "bad_name"


def test_a_reference_names_the_latest_version_or_one() -> None:
    versions = [
        parse_profile(b"{}", file=f"profiles/{each}.json")[0] for each in ("a/2", "a/10", "b/1")
    ]
    known = [each for each in versions if each is not None]

    found = [find_profile(known, ProfileName("a")), find_profile(known, ProfileName("a", 2))]

    assert [each.label if each else None for each in found] == ["a@10", "a@2"]
    assert find_profile(known, ProfileName("c")) is find_profile(known, ProfileName("a", 3)) is None
    assert parse_reference("a@2") == ProfileName("a", 2)
    assert parse_reference("a@") is parse_reference("a@latest") is parse_reference("A") is None
