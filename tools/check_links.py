"""Check that every link of a built site, and of Markdown files beside it, leads somewhere.

    python tools/check_links.py site README.md ...

Links inside the site need their file and, with a `#fragment`, an element of that name. Links of
Markdown files need their file in the repository. Nothing is asked of the network: links to other
hosts only need to be well formed.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
_MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


class _Page(HTMLParser):
    """The links and the names of elements of one page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        for key in ("id", "name"):
            if attributes.get(key):
                self.names.add(attributes[key] or "")
        link = attributes.get(_ATTRIBUTES.get(tag, ""))
        if link is not None and attributes.get("rel") not in ("canonical", "preconnect"):
            self.links.append(link)


def check_site(folder: Path) -> list[str]:
    """One line for each broken link of the HTML files under `folder`."""
    folder = folder.resolve()
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    problems = [] if pages else [f"{folder}: no HTML files; expected a built site"]
    for path, page in pages.items():
        if path.name == "404.html":  # its links are absolute: it is shown anywhere
            continue
        for link in page.links:
            where = f"{path.relative_to(folder)}: {link}"
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if not (parts.scheme in ("http", "https") and "." in parts.netloc):
                    problems.append(f"{where}: expected http(s) and a host")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_relative_to(folder) or not target.is_file():
                problems.append(f"{where}: no such file in the site")
            elif parts.fragment and target in pages:
                names = pages[target].names
                if parts.fragment not in names and unquote(parts.fragment) not in names:
                    problems.append(f"{where}: no element of that name")
    return problems


def check_markdown(path: Path) -> list[str]:
    """One line for each link of a Markdown file to a file, or a heading, that is not there."""
    problems = []
    for link in _MARKDOWN_LINK.findall(_without_code(path.read_text("utf-8"))):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        if not target.exists():
            problems.append(f"{path}: {link}: no such file")
        elif parts.fragment and target.suffix == ".md":
            headings = _HEADING.findall(_without_code(target.read_text("utf-8")))
            if parts.fragment not in {_anchor(heading) for heading in headings}:
                problems.append(f"{path}: {link}: no such heading")
    return problems


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```\s*?$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def main(arguments: list[str]) -> int:
    """Print the broken links; 1 if there are any, 2 for arguments that cannot be used."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    problems: list[str] = []
    for argument in arguments:
        path = Path(argument)
        problems += check_site(path) if path.is_dir() else check_markdown(path)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print("all links lead somewhere")
    return min(len(problems), 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
