"""The package's parts import one another in one direction only."""

import ast
import graphlib
from pathlib import Path

import pytest

import radepth_jax

PACKAGE = Path(radepth_jax.__file__).parent

# Folders and single modules of the package; each may import those before it, and no other.
ORDER = [
    "errors",
    "settings",
    "names",
    "files",
    "devices",
    "processes",
    "pictures",
    "progress",
    "street",
    "data",
    "geometry",
    "views",
    "platforms",
    "startup",
    "models",
    "losses",
    "runs",
    "inference",
    "interop",
    "evaluation",
    "predict",
    "training",
    "cli",
    "__main__",
]


def module_name(path: Path, package: Path) -> str:
    """`.../data/video.py` -> `radepth_jax.data.video`; a package's name for its `__init__.py`."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join([package.name, *(part for part in parts if part != "__init__")])


def read_imports(package: Path) -> dict[str, set[str]]:
    """Module -> the modules of `package` it imports, wherever in the file the import stands."""
    files = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: has a relative import, which this does not follow"
                # `from package import x`: x is a module, or a name of the package's __init__.
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [n if n in files else str(node.module) for n in names]
            else:
                continue
            found[name] |= {target for target in targets if target in files}
    return found


def part_of(module: str) -> str:
    """`radepth_jax.data.video` -> `data`; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def against_the_order(imports: dict[str, set[str]], order: list[str]) -> list[str]:
    """The imports that go up, or from a part that has no place."""
    place = {part: i for i, part in enumerate(["", *order])}
    return [
        f"{name} imports {target}"
        for name, targets in imports.items()
        for target in sorted(targets)
        if place[part_of(target)] > place[part_of(name)]
    ]


def test_every_part_has_one_place():
    parts = {part_of(module_name(path, PACKAGE)) for path in PACKAGE.rglob("*.py")} - {""}
    assert sorted(parts) == sorted(ORDER)


def test_no_import_goes_up():
    assert against_the_order(read_imports(PACKAGE), ORDER) == []


def test_modules_import_one_another_in_no_circle():
    tuple(graphlib.TopologicalSorter(read_imports(PACKAGE)).static_order())  # raises CycleError


def test_an_import_that_goes_up_and_a_circle_are_found(tmp_path):
    """Also inside a function, and where `from package import module` is the form."""
    package = tmp_path / "small"
    (package / "low").mkdir(parents=True)
    (package / "high").mkdir()
    for folder in (package, package / "low", package / "high"):
        (folder / "__init__.py").touch()
    (package / "low" / "a.py").write_text("def f():\n    from small.high import b\n")
    (package / "high" / "b.py").write_text("import small.low.a\n")
    imports = read_imports(package)
    found = against_the_order(imports, ["low", "high"])
    assert found == ["small.low.a imports small.high.b"]
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter(imports).static_order())
