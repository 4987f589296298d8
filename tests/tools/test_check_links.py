"""The link check finds what is broken, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_links.py"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "guides").mkdir(parents=True)
    (folder / "index.html").write_text(
        '<h1 id="top">Home</h1><a href="guides/kitti.html#train">KITTI</a><a href="#top">up</a>'
        '<a href="guides/">guides</a><a href="https://example.org/">elsewhere</a>'
        '<img src="a%20street.svg">'
    )
    (folder / "a street.svg").write_text("<svg/>")
    (folder / "guides" / "index.html").write_text('<a href="../index.html">home</a>')
    (folder / "guides" / "kitti.html").write_text('<h2 id="train">Train</h2>')
    return folder


def check(*paths: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, TOOL, *paths], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_whole_links_pass(site):
    assert check(site) == (0, "")


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("video.html", "no such file in the site"),
        ("kitti.html#predict", "no element of that name"),
        ("#bottom", "no element of that name"),
        ("../../README.md", "no such file in the site"),  # though it is there
        ("https:/example.org", "expected http(s) and a host"),
        ("file:///etc/hosts", "expected http(s) and a host"),
    ],
)
def test_a_broken_link_is_named(site, link, problem):
    (site.parent / "README.md").write_text("")
    (site / "guides" / "index.html").write_text(f'<a href="{link}">x</a>')
    code, said = check(site)
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith("guides/index.html: ")
    assert said.endswith(f"{problem}\n")


def test_an_empty_site_is_a_problem(tmp_path):
    code, said = check(tmp_path)
    assert code == 1
    assert "expected a built site" in said


def test_markdown_is_checked_for_files_and_headings(tmp_path):
    readme, other = tmp_path / "README.md", tmp_path / "other.md"
    other.write_text("# It's a `title`, 2\n")
    whole = "[a](other.md) [b](other.md#its-a-title-2) [c](https://example.org)\n"
    readme.write_text(f"{whole}```\n[not a link](nowhere.md)\n```\n")
    assert check(readme) == (0, "")
    readme.write_text(f"{whole}[d](other.md#another) [e](nowhere.md)\n")
    code, said = check(readme)
    assert code == 1
    assert [line.rsplit(": ", 1)[1] for line in said.splitlines()] == [
        "no such heading",
        "no such file",
    ]
