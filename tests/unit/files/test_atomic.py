"""A file is replaced as a whole, or left as it was."""

from pathlib import Path

import pytest

from transience.files.atomic import replacing


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path):
    path = tmp_path / "folder" / "file"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("written", ["half of a", None])
def test_a_failure_leaves_the_file_alone_and_no_rubbish(tmp_path: Path, written: str | None):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left"), replacing(path) as temporary:
        if written:
            temporary.write_text(written)
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
