"""Machine code is kept under a digest of all files that it comes from."""

import shutil
from pathlib import Path

import pytest
from numba import config

from transience.model.kernels import compilation


def cache_of(folder: Path) -> Path:
    """Where kernels whose files lie in a folder keep their machine code."""
    exec(
        compile((folder / "compilation.py").read_text(), "", "exec"),
        {"__file__": str(folder / "compilation.py")},
    )
    return Path(config.CACHE_DIR)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "CACHE_DIR", "")
    sources = Path(compilation.__file__).parent
    return Path(
        shutil.copytree(sources, tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    )


def test_a_change_of_any_file_is_another_cache(folder, monkeypatch):
    def cache() -> Path:
        monkeypatch.setattr(config, "CACHE_DIR", "")
        return cache_of(folder)

    first = cache()
    assert first.parent == folder / "__pycache__" and cache() == first
    for path in folder.glob("*.py"):
        text = path.read_text()
        path.write_text(text + "#")
        assert cache() != first, path.name
        path.write_text(text)
    assert cache() == first


def test_a_cache_that_the_user_chose_is_used(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "mine"))
    assert cache_of(folder).parent == tmp_path / "mine"
