"""What docs/architecture.md says of imports, and the habits of the tests, held by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
GROUND = ["errors", "console", "recipes", "runs", "tables", "labels", "folding", "cleaning", "places", "figures"]
# Rooms of one floor import nothing of each other, but for the ground floor.
FLOORS = [
    {*GROUND, "__init__"},
    {"generation", "hub"},
    {"provenance"},
    {"quality", "training"},
    {"corpora", "contrastive", "regression"},
    {"dataset_scripts", "trainers"},
    {"experiments"},
    {"sample"},
    {"cli"},
    {"__main__"},
]
FOLDERS = {name: ROOT / name for name in ("trainers", "dataset_scripts", "model_cards", "accelerate_configs")}
REPLACING = {"setattr", "delattr", "patch", "object", "multiple"}  # of pytest's `monkeypatch` and `unittest.mock.patch`
# Files that replace a function of a module, and why.
REPLACED = {
    "contrastive/test_card.py": "looks at the figure in place of saving it",
    "contrastive/test_model_gradient_caching.py": "counts passes, and plants a fault that must be noticed",
    "contrastive/test_packing.py": "plants a fault that must be noticed",
    "contrastive/test_trainer.py": "looks at the loss within a step",
    "contrastive/test_trainer_refusals.py": "makes the loss infinite",
    "support/simcse_ranks.py": "plants a fault that must be noticed",
}
# Files of tests that are of no single module of their room.
CROSSING = {
    "test_architecture.py": "all modules",
    "test_benchmarks.py": "benchmarks/",
    "test_docs.py": "the commands of the docs",
    "test_real.py": "make real",
    "quality/test_review_docs.py": "the commands of docs/review.md",
    "trainers/test_scripts_launched.py": "both scripts under accelerate launch",
    "trainers/test_lineage.py": "from a corpus by an encoder to a rating model",
    "trainers/test_scripts.py": "what both scripts share",
}


@cache
def modules() -> dict[str, Path]:
    """Each module of the package by its name; that of a package is its `__init__`."""
    paths = {f"hf_xling.{name}": folder for name, folder in FOLDERS.items()} | {"hf_xling": ROOT / "hf_xling"}
    found = {}
    for package, folder in paths.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.expr) -> str:
    """`a.b.c` as it is written; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""


def imports(path: Path) -> Iterator[tuple[str, str, int]]:
    """Each name of hf_xling that is imported in the file at `path`: in full, as it is called there, and the line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            names = [(f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [(alias.name, alias.asname or alias.name) for alias in node.names]
        else:
            continue
        yield from ((name, called, node.lineno) for name, called in names if name.split(".")[0] == "hf_xling")


def module_of(name: str) -> str:
    """The module that an imported name is, or is in."""
    return name if name in modules() else name.rpartition(".")[0]


def room_of(module: str) -> str:
    """The folder that a module lies in, or its own name on the ground floor."""
    return module.split(".")[1] if "." in module else "__init__"


def floor(room: str) -> int:
    return next((level for level, rooms in enumerate(FLOORS) if room in rooms), -1)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(module) for module in modules()}
    assert {"generation", "provenance", "trainers", "errors"} <= rooms
    assert {room for room in rooms - FOLDERS.keys() if floor(room) < 0} == set()


def test_imports_go_down() -> None:
    found = []
    for module, path in modules().items():
        room = room_of(module)
        for name, _, line in imports(path):
            imported = room_of(module_of(name))
            # `hf_xling` itself, imported for its version, is of the ground floor: its `__init__` has names as strings.
            if imported != room and not floor(imported) == floor(room) == 0 and floor(imported) >= floor(room):
                found.append(f"{module}, line {line}, imports {name}")
    assert not found, "\n".join(found)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports in functions and for type checking count too."""
    graph = {module: {module_of(name) for name, _, _ in imports(path)} for module, path in modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])), pytrace=False)


def test_library_prints_nothing() -> None:
    found = [
        f"{module}, line {node.lineno}"
        for module, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) == "print"
    ]
    assert [place for place in found if not place.startswith("hf_xling.console,")] == []


def test_scripts_are_thin() -> None:
    scripts = (ROOT / "trainers").glob("*.py")
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in scripts}
    assert {name: count for name, count in lines.items() if count >= 60} == {}


def test_every_folder_of_the_wheel_is_listed() -> None:
    listed = (ROOT / "setup.cfg").read_text(encoding="utf-8").split("install_requires")[0]
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "hf_xling").rglob("__init__.py")}
    packages |= {Path("hf_xling") / name for name in FOLDERS} | {Path("hf_xling/trainers/recipes")}
    assert {package for package in packages if f"    {'.'.join(package.parts)}\n" not in listed} == set()


# The tests


def is_private(name: str) -> bool:
    of_named_tuples = {"_replace", "_fields", "_asdict"}
    return name.startswith("_") and not name.endswith("__") and name not in of_named_tuples


def uses(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Each name or attribute in a file of tests that is of hf_xling, by its full name."""
    called = {called: name for name, called, _ in imports(path)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute | ast.Name):
            written = dotted(node)
            known = next((start for start in called if f"{written}.".startswith(f"{start}.")), None)
            if known is not None:
                yield node, called[known] + written[len(known) :]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("hf_xling."):
            yield node, node.value


def test_tests_use_no_private_names() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in [
            *((line, name) for name, _, line in imports(path)),
            *((node.lineno, name) for node, name in uses(path) if not isinstance(node, ast.Constant)),
        ]
        if any(map(is_private, name.split(".")))
    ]
    assert not found, "\n".join(found)


def replaced(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the full name of each attribute of a module that a file of tests replaces.

    Of a target that is given as a module and a name apart, the name is that of the module and the name.
    """
    names = dict(uses(path))
    for node in ast.walk(tree(path)):
        found = []
        if isinstance(node, ast.Assign):
            found = [names.get(target, "") for target in node.targets if isinstance(target, ast.Attribute)]
        elif isinstance(node, ast.Call) and node.args and dotted(node.func).split(".")[-1] in REPLACING:
            owner, *rest = node.args
            found = [names.get(owner, "")]
            if not isinstance(owner, ast.Constant):
                found = [f"{found[0]}.{rest[0].value}"] if rest and isinstance(rest[0], ast.Constant) else found
        yield from ((node.lineno, name) for name in found if name.rpartition(".")[0] in modules())


def test_tests_replace_nothing_in_a_module() -> None:
    """Neither by `monkeypatch.setattr` or `patch` nor by assignment: what a test must change is a parameter."""
    found = {
        str(path.relative_to(TESTS)): [f"{line}: {name}" for line, name in replaced(path)]
        for path in sorted(TESTS.rglob("*.py"))
    }
    assert {name: lines for name, lines in found.items() if lines and name not in REPLACED} == {}
    assert [name for name in REPLACED if not found.get(name)] == [], "these replace nothing any more"
    constants = [line for lines in found.values() for line in lines if line.rpartition(".")[2].isupper()]
    assert constants == []


def test_files_of_tests_are_named_after_modules() -> None:
    """As `test_MODULE.py`, or `test_MODULE_TOPIC.py` where a module has many tests."""
    for name, why in CROSSING.items():
        assert (TESTS / name).exists(), f"{name} ({why}) is gone"
    strays = []
    for path in sorted(TESTS.rglob("test_*.py")):
        name, package = str(path.relative_to(TESTS)), ".".join(["hf_xling", *path.relative_to(TESTS).parts[:-1]])
        words = path.stem.split("_")[1:]
        stems = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
        if name not in CROSSING and not any(f"{package}.{stem}" in modules() for stem in stems):
            strays.append(name)
    assert not strays, "\n".join(strays)
