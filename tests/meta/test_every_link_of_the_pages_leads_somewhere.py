"""Pages and anchors that are linked exist: in docs/ the site's strict build says so, in the README this."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from markdown.extensions.toc import slugify

from dev_tools.places import ROOT

LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    return {slugify(heading, "-") for heading in HEADING.findall(page.read_text())}


def test_every_link_of_the_readme_does() -> None:
    links = LINK.findall((ROOT / "README.md").read_text())
    assert links
    for path, anchor in links:
        page = ROOT / (path or "README.md")
        assert page.exists(), path
        assert not anchor or anchor in anchors(page), f"{path}#{anchor}"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("properdocs"), "build", "--strict"]
    return subprocess.run(
        [*command, "--site-dir", folder / "site"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_site_refuses_a_link_to_nowhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "properdocs.yml", tmp_path)
    whole = build(tmp_path)
    assert whole.returncode == 0, whole.stderr
    page = tmp_path / "docs" / "index.md"
    page.write_text(page.read_text() + "\n[a page](nowhere.md), [an anchor](custody.md#nowhere)\n")
    broken = build(tmp_path)
    assert broken.returncode != 0
    assert "nowhere.md" in broken.stderr
    assert "custody.md#nowhere" in broken.stderr
