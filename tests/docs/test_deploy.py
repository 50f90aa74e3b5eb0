"""The page on systemd speaks of the unit that is there."""

import re

import doc_pages

PAGE = doc_pages.DOCS / "how-to" / "deploy-under-systemd.md"
UNIT = doc_pages.ROOT / "deploy" / "amodal-rt.service"


def test_the_page_uses_the_paths_of_the_unit() -> None:
    paths = set(re.findall(r"/(?:srv|opt|etc)/amodal-rt(?:/environment)?\b", doc_pages.read(PAGE)))

    assert paths == {"/srv/amodal-rt", "/opt/amodal-rt", "/etc/amodal-rt/environment"}
    assert all(path in doc_pages.read(UNIT) for path in paths)
    assert "AMODAL_RT_STATE_DIR=/var/lib/amodal-rt " in doc_pages.read(UNIT)


def test_the_unit_does_what_the_page_says() -> None:
    lines = doc_pages.read(UNIT).splitlines()

    assert {
        "Type=notify",
        "Restart=on-failure",
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "StateDirectory=amodal-rt",
    } <= set(lines)
    (stop,) = [line.partition("=")[2] for line in lines if line.startswith("TimeoutStopSec=")]
    assert int(stop) > 30, "systemd would kill what the daemon still lets finish"
