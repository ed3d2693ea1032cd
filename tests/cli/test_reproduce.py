"""``eomsym reproduce``: its page is refused before the work where it cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from eomsym.cli import main


@pytest.mark.parametrize(
    "output, told",
    [
        ("page.pdf", "cannot write page.pdf: a page is written as .html; try page.html"),
        ("/dev/null/page.html", "cannot write /dev/null/page.html: /dev/null is no folder"),
    ],
)
def test_a_page_that_cannot_be_written(output: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(main, ["reproduce", "ghosh2023", "--output", output])
    assert run.exit_code == 2
    assert told in run.stderr
    assert not run.stdout
    assert not list(tmp_path.iterdir())


def test_papers_are_listed() -> None:
    run = CliRunner().invoke(main, ["reproduce"])
    assert run.exit_code == 0
    assert len(run.stdout.splitlines()) == 9
    assert run.stdout == CliRunner().invoke(main, ["reproduce", "--list"]).stdout
