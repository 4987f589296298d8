"""What `mkdocs.yml` needs besides plugins: pages made from other files of the repository.

They are the files outside `docs/` that pages link to, the notebook, and the reference.

A page's place in the site is its place in the repository, less `docs/`. So links between the files
of the repository are links between the pages: they are rewritten here, and the files stay readable
where they are.
"""

import base64
import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Besides `docs/`: what pages link to. Their names in the site are those in the repository.
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "NOTICE",
    "experiments/RESULTS.md",
    "experiments/cpu_notes.md",
)
# Whose files pages link to, all of them.
FOLDERS = ("experiments/notes", "experiments/results")
# The packages that the reference describes, each on a page.
PACKAGES = (
    "street",
    "data",
    "views",
    "platforms",
    "models",
    "geometry",
    "losses",
    "runs",
    "inference",
    "interop",
    "evaluation",
    "predict",
    "training",
)
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"(^```.*?^```\s*?$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is not in `docs/`, and give the notebook the form of a page."""
    for package in PACKAGES:
        page = reference_page(package)
        files.append(File.generated(config, f"api/{package}.md", content=page))
    linked = [f"{folder}/{file.name}" for folder in FOLDERS for file in (ROOT / folder).iterdir()]
    for name in (*OUTSIDE, *sorted(linked)):
        uri = name if "." in name else f"{name}.txt"  # so that browsers show it
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            for uri, content in convert_notebook(file.src_uri, file.content_string).items():
                files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Point a file's links to where the linked files are in the site.

    A page that is its tab's only one has no navigation beside it, and more room.
    """
    if page.parent is None:
        page.meta["hide"] = ["navigation"]
    uri = page.file.src_uri
    in_docs = not (ROOT / uri).exists()
    folder = posixpath.dirname(posixpath.join("docs", uri) if in_docs else uri)

    def move(link: re.Match[str]) -> str:
        target = link[2]
        if ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(folder, target)).removeprefix("docs/")
        if path.endswith(".ipynb"):
            path = path.removesuffix(".ipynb") + ".md"
        path = path if files.get_file_from_path(path) else f"{path}.txt"
        if not files.get_file_from_path(path):
            return link[0]  # for MkDocs to complain about
        return link[1] + posixpath.relpath(path, posixpath.dirname(uri) or ".") + link[3]

    parts = _FENCE.split(markdown)  # odd parts are code
    return "".join(part if i % 2 else _LINK.sub(move, part) for i, part in enumerate(parts))


def reference_page(package: str) -> str:
    """A page that mkdocstrings fills with the docstrings of each module of a package.

    Modules that the package's `__init__` imports from come first: most readers look for those.
    """
    folder = ROOT / "radepth_jax" / package
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(folder.rglob("*.py"))
        if not file.name.startswith("_")
    ]
    offered = re.findall(r"^from (\S+) import", (folder / "__init__.py").read_text(), re.MULTILINE)
    modules.sort(key=lambda module: module not in offered)
    blocks = "".join(f"::: {module}\n\n" for module in modules)
    return f"# radepth_jax.{package}\n\n{blocks}"


def convert_notebook(uri: str, text: str) -> dict[str, str | bytes]:
    """A notebook as a Markdown page and its pictures.

    Args:
        uri: of the notebook in the site.
        text: its JSON.

    Returns:
        Contents by URI; the page's is that of the notebook with the ending `.md`.
    """
    stem = uri.removesuffix(".ipynb")
    page: list[str] = []
    files: dict[str, str | bytes] = {}
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            page.append(source)
            continue
        page.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                picture = f"{stem}_{len(files)}.jpg"
                files[picture] = base64.b64decode("".join(data["image/jpeg"]))
                page.append(f"![What the code above shows]({posixpath.basename(picture)})")
            elif printed := output.get("text") or data.get("text/plain"):
                page.append("```text\n" + "".join(printed).rstrip() + "\n```")
    return {f"{stem}.md": "\n\n".join(page) + "\n"} | files
