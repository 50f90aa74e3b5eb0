"""The page on several nodes, and the compose file beside it, fit the project."""

import tomllib
from typing import Any

import doc_pages
import pytest
from ruamel.yaml import YAML

from amodal_rt.daemon.nodes import LEASE, MARGIN_SECONDS

FOLDER = doc_pages.DOCS / "how-to"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return YAML(typ="safe").load(doc_pages.read(FOLDER / "compose.yaml"))


def nodes(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in compose["services"].items() if name.startswith("node-")}


def test_every_node_has_the_same_database_and_a_state_of_its_own(compose: dict[str, Any]) -> None:
    found = list(nodes(compose).values())
    states = [volume for each in found for volume in each["volumes"] if volume.endswith(":/state")]

    assert len(found) == len(set(states)) == 2
    assert len({each["environment"]["DATABASE_URL"] for each in found}) == 1
    assert {volume.partition(":")[0] for volume in states} < compose["volumes"].keys()
    assert all(each["depends_on"] == {"db": {"condition": "service_healthy"}} for each in found)


def test_the_image_has_the_extra_as_the_project_names_it(compose: dict[str, Any]) -> None:
    project = tomllib.loads(doc_pages.read(doc_pages.ROOT / "pyproject.toml"))["project"]
    extra = project["optional-dependencies"]["postgres"]
    assert set(extra) < set(project["optional-dependencies"]["dev"])

    for each in nodes(compose).values():
        built = each["build"]["dockerfile_inline"]
        assert all(f'"{wanted}"' in built for wanted in extra)


def test_a_node_may_let_its_runs_finish(compose: dict[str, Any]) -> None:
    assert all(int(each["stop_grace_period"][:-1]) > 35 for each in nodes(compose).values())


def test_the_page_names_the_times_of_the_code() -> None:
    page = " ".join(doc_pages.read(FOLDER / "several-nodes.md").split())

    assert LEASE.total_seconds() == 6
    assert "After six seconds without a proof" in page
    assert MARGIN_SECONDS == 1
    assert "it stops itself a second earlier" in page
