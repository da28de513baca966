"""Tests mirror the product: whoever changes a module finds its test under its name, or by its name in a docstring."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
ADDONS, TESTS = HOME / "addons", HOME / "tests"
MODULES = sorted(str(file.relative_to(ADDONS)) for file in ADDONS.rglob("*.py") if file.name != "__init__.py")
FILE = re.compile(r"[\w/]+\.py\b")


@cache
def named() -> dict[str, set[Path]]:
    """The files that docstrings of test modules name, each with the modules in which they do."""
    found: dict[str, set[Path]] = {}
    for test in TESTS.rglob("test_*.py"):
        for name in FILE.findall(ast.get_docstring(ast.parse(test.read_text(encoding="utf-8"))) or ""):
            found.setdefault(name, set()).add(test)
    return found


def is_tested(module: str) -> bool:
    """Whether a module (`a/b.py`) has its tests/a/test_b.py, or is named in another test: by its file's name in the
    same folder, by its path anywhere."""
    folder, name = TESTS / Path(module).parent, Path(module).name
    if (folder / f"test_{name}").exists() or named().get(f"addons/{module}"):
        return True
    if "/" in module and named().get(module):
        return True
    return any(test.parent == folder for test in named().get(name, ()))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_that_is_found_by_its_name(module: str) -> None:
    assert is_tested(module), f"write tests/{Path(module).parent}/test_{Path(module).name}, or name it in its test"


def test_a_file_that_a_docstring_names_exists() -> None:
    files = [f"/{file.relative_to(HOME)}" for top in (ADDONS, TESTS) for file in top.rglob("*.py")]
    for name, tests in named().items():
        assert any(file.endswith(f"/{name}") for file in files), f"{name} in {sorted(map(str, tests))}"
