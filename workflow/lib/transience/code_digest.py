"""Digest of the code behind a command, for the workflow to track.

Snakemake looks at the shell command of a rule only. The digest covers the command's module and
all modules of the package that it imports, directly or not. It changes when what the code does
may have changed: comments, docstrings and layout don't count.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def code_digest(module: str, *data_files: Path, root: Path = ROOT) -> str:
    """Digest of the import closure of a module, and of data files that the code reads.

    The abstract syntax is compared, which a new minor version of Python may write differently.
    """
    names = closure(module, root=root)
    parts = [f"{name} {_meaning(_path(name, root).read_text())[0]}" for name in names]
    parts += [f"{path.name} {_hash(path.read_bytes())}" for path in data_files]
    return _hash("\n".join(parts).encode())[:16]


def closure(module: str, *, root: Path = ROOT) -> list[str]:
    """Names of the modules below `root` that importing `module` may load, itself included."""
    found: set[str] = set()
    waiting = [module, f"{module}.__main__"]
    while waiting:
        name = waiting.pop()
        if name in found or not _path(name, root).is_file():
            continue
        found.add(name)
        waiting += [name.rpartition(".")[0], *_meaning(_path(name, root).read_text())[1]]
    return sorted(found)


def _path(module: str, root: Path) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _meaning(source: str) -> tuple[str, tuple[str, ...]]:
    """Hash of the code without its docstrings, and the names it imports."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if _has_docstring(node):
            node.body = node.body[1:]
    return _hash(ast.dump(tree).encode()), tuple(_imports(tree))


def _has_docstring(node: ast.AST) -> bool:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise SyntaxError(f"relative import in line {node.lineno}: its code isn't tracked")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
