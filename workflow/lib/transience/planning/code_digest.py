"""Digest of the code behind a command, for the workflow to track.

Snakemake looks at the shell command of a rule only. The digest covers the command's module and
all modules of the package that it imports, directly or not. It changes when a number that the code
computes may have changed: comments, docstrings, layout, messages and all of `transience.command`
don't count.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAYS_WHAT_MAY_BE = ("key", "Field", "ConfigDict")  # units, bounds and words of settings
IGNORED = "transience.command"  # flags, progress, provenance: no number


def code_digest(*modules: str, data_files: Iterable[Path] = (), root: Path = ROOT) -> str:
    """Digest of the import closure of some modules, and of data files that the code reads.

    The abstract syntax is compared, which a new minor version of Python may write differently.
    """
    names = closure(*modules, root=root)
    parts = [f"{name} {_meaning(_path(name, root).read_text())[0]}" for name in names]
    parts += [f"{path.name} {_hash(path.read_bytes())}" for path in data_files]
    return _hash("\n".join(parts).encode())[:16]


def closure(*modules: str, root: Path = ROOT) -> list[str]:
    """Names of the modules below `root` that importing some may load, themselves included.

    What is ignored is not followed either.
    """
    found: set[str] = set()
    waiting = [name for module in modules for name in (module, f"{module}.__main__")]
    while waiting:
        name = waiting.pop()
        if name in found or _is_ignored(name) or not _path(name, root).is_file():
            continue
        found.add(name)
        waiting += [name.rpartition(".")[0], *_meaning(_path(name, root).read_text())[1]]
    return sorted(found)


def _is_ignored(module: str) -> bool:
    return f"{module}.".startswith(f"{IGNORED}.")


def _path(module: str, root: Path) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _meaning(source: str) -> tuple[str, tuple[str, ...]]:
    """Hash of the code without what only people read, and the names it imports."""
    tree = _WithoutWords().visit(ast.parse(source))
    return _hash(ast.dump(tree).encode()), tuple(_imports(tree))


class _WithoutWords(ast.NodeTransformer):
    """Drops docstrings, of attributes too, the text of messages, and what a setting may be."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_text(node.value) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return _Silent().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in SAYS_WHAT_MAY_BE:
            return ast.Call(node.func, [], [])
        prints = isinstance(node.func, ast.Name) and node.func.id == "print"
        files = {ast.unparse(word.value) for word in node.keywords if word.arg == "file"}
        to_screen = prints and files <= {"sys.stderr", "sys.stdout"}
        return _Silent().visit(node) if to_screen else self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        return _Silent().visit(node) if node.arg == "help" else self.generic_visit(node)


class _Silent(ast.NodeTransformer):
    """Makes every text empty, with what stands in it."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if _is_text(node) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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
