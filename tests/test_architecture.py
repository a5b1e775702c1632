"""The direction of imports, as docs/architecture.md draws it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = ["errors", "console", "recipes", "runs", "tables", "labels", "folding", "cleaning", "places", "figures"]
FLOORS = [
    {*GROUND, "__init__"},
    {"generation", "hub"},
    {"provenance"},
    {"quality", "training"},
    {"corpora"},
    {"contrastive", "regression", "dataset_scripts"},
    {"trainers"},
    {"experiments"},
    {"sample"},
    {"cli"},
]
FOLDERS = {name: ROOT / name for name in ("trainers", "dataset_scripts", "model_cards", "accelerate_configs")}


def modules() -> Iterator[tuple[str, Path]]:
    """Each module of the package with its room: the folder it lies in, or its own name on the ground floor."""
    for path in (ROOT / "hf_xling").rglob("*.py"):
        parts = path.relative_to(ROOT / "hf_xling").parts
        yield (parts[0] if len(parts) > 1 else path.stem), path
    for room in ("trainers", "dataset_scripts"):
        for path in (ROOT / room).glob("*.py"):
            yield room, path


def imported_rooms(path: Path) -> Iterator[tuple[str, int]]:
    """The rooms of hf_xling that the module at `path` imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            whole = node.module == "hf_xling"
            names = [f"hf_xling.{alias.name}" if whole else node.module for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("hf_xling."):
                yield name.split(".")[1], node.lineno


def floor(room: str) -> int:
    return next((level for level, rooms in enumerate(FLOORS) if room in rooms), -1)


def test_every_room_has_a_floor() -> None:
    rooms = {room for room, _ in modules()}
    assert len(rooms) >= 15
    assert {room for room in rooms if floor(room) < 0} == set()


@pytest.mark.parametrize("room, path", sorted(modules(), key=str), ids=lambda value: getattr(value, "stem", value))
def test_imports_go_down(room: str, path: Path) -> None:
    for imported, line in imported_rooms(path):
        same = imported == room or (floor(imported) == floor(room) == 0)
        # __init__ gives out public names by string; `import hf_xling` for the version goes to the ground floor.
        assert same or floor(imported) < floor(room), f"{path.relative_to(ROOT)}:{line} imports {imported}"


@pytest.mark.parametrize("path", sorted(path for _, path in modules()), ids=lambda path: path.name)
def test_library_prints_nothing(path: Path) -> None:
    if path.name == "console.py":
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_scripts_are_thin() -> None:
    scripts = (ROOT / "trainers").glob("*.py")
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in scripts}
    assert {name: count for name, count in lines.items() if count >= 60} == {}


def test_generation_and_help_need_no_torch() -> None:
    code = (
        "import sys, hf_xling.generation.stage, hf_xling.cli; print(hf_xling.cli.usage()); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_folder_of_the_wheel_is_listed() -> None:
    listed = (ROOT / "setup.cfg").read_text(encoding="utf-8").split("install_requires")[0]
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "hf_xling").rglob("__init__.py")}
    packages |= {Path("hf_xling") / name for name in FOLDERS} | {Path("hf_xling/trainers/recipes")}
    assert len(packages) >= 14
    for package in packages:
        assert f"    {'.'.join(package.parts)}\n" in listed
