"""The program on the page about embedding runs as it stands there."""

import shutil
import sys
from pathlib import Path

import doc_pages
from doc_daemon import ROOT, Daemon

PAGE = doc_pages.DOCS / "how-to" / "embed-in-python.md"


def test_the_program_on_the_page_is_told_the_result(tmp_path: Path) -> None:
    (program,) = [each.text for each in doc_pages.blocks("python") if each.page == PAGE]
    (automation,) = [each.text for each in doc_pages.blocks("json") if each.page == PAGE]
    folder = Daemon(tmp_path)
    shutil.copytree(ROOT / "automations.example", folder.workspace)
    (folder.workspace / "automations" / "digest.json").write_text(automation, encoding="utf-8")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")

    done = folder.run(sys.executable, "program.py")

    assert done.returncode == 0, done.stderr
    assert "digest success [rehearsal]" in done.stdout
    assert "completed " in done.stdout
