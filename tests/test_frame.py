"""The house rules that a tool does not already hold: size, words, types, portable paths."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "bitnet").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 60
# A folder of one machine; `(?<!…)` lets URLs and relative paths through.
MACHINE_PATH = re.compile(r"(?<![\w.~/}-])/(?:work|home|root|Users|scratch)/\w")
TEXT_SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".cfg", ".ipynb", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def where(file: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt) else ""
    return f"{file.relative_to(ROOT)}{line}"


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Public classes and functions of a module and public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, Function) and not item.name.startswith("_"):
                        yield item


def is_exempt(node: Function | ast.ClassDef) -> bool:
    """Overrides and overloads have their words elsewhere; a setter's are its getter's."""
    return any(
        ast.unparse(mark).split(".")[-1] in ("override", "overload", "setter")
        for mark in node.decorator_list
    )


def unannotated(function: Function) -> list[str]:
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    every += [arg for arg in (args.vararg, args.kwarg) if arg]
    missing = [a.arg for a in every if a.annotation is None and a.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


@pytest.mark.parametrize("file", SOURCES + TESTS, ids=where)
def test_files_and_functions_are_short(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.count("\n") <= LONGEST_FILE, where(file)
    for function in functions(ast.parse(text)):
        assert function.end_lineno is not None
        length = function.end_lineno - function.lineno + 1
        assert length <= LONGEST_FUNCTION, f"{where(file, function)}: {length} lines"


@pytest.mark.parametrize("file", SOURCES, ids=where)
def test_every_module_and_public_name_says_what_it_is_for(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    assert ast.get_docstring(tree), f"{where(file)}: no module docstring"
    for node in public(tree):
        if not is_exempt(node):
            assert ast.get_docstring(node), f"{where(file, node)}: {node.name} has no docstring"


@pytest.mark.parametrize("file", SOURCES, ids=where)
def test_every_function_is_annotated(file: Path) -> None:
    for function in functions(ast.parse(file.read_text("utf-8"))):
        missing = unannotated(function)
        assert not missing, f"{where(file, function)}: {function.name} lacks {missing}"


def own_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:  # an unpacked sdist has no git
        folders = ("bitnet", "tests", "configs", "conf_experiments", "docs", "benchmarks")
        return [f for name in folders for f in (ROOT / name).rglob("*") if f.is_file()]
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for file in own_files():
        if file.suffix in TEXT_SUFFIXES and file.is_file():
            lines = file.read_text("utf-8", errors="replace").splitlines()
            found += [
                f"{where(file)}:{n}" for n, s in enumerate(lines, 1) if MACHINE_PATH.search(s)
            ]
    assert not found, found


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("open('" + "/home" + "/ann/x')", True),
        ("root: " + "/work" + "/data", True),
        ("https://example.org/work/paper", False),
        ("see docs/work/notes.md", False),
    ],
)
def test_the_path_check_itself(line: str, is_one: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is is_one


def test_every_make_target_is_listed_by_help() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()
    targets = re.findall(r"^([a-z][\w-]*):", text, re.MULTILINE)
    assert sorted(targets) == sorted(phony)
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in shown.stdout.splitlines()[1:]]
    assert listed == targets


def test_importing_the_package_is_light() -> None:
    heavy = "{'torch', 'lightning', 'hydra', 'datasets', 'matplotlib', 'numpy'}"
    code = f"import sys, bitnet; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_pinned_versions_lie_within_the_declared_ranges() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        need = Requirement(text)
        assert need.specifier.contains(versions[canonicalize_name(need.name)]), text
