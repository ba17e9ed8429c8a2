"""What a processor lacks: by the words of Linux, and nothing where there are none."""

import pytest

from transience.planning import processor

FLOAT32, BF16 = ({"training": {"precision": name}} for name in ("float32", "bf16"))


@pytest.fixture
def listed(monkeypatch, tmp_path):
    """Make up what Linux lists; None is another system."""

    def listed(text: str | None) -> None:
        file = tmp_path / "cpuinfo"
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(processor, "CPUINFO", file)
        processor._features.cache_clear()

    yield listed
    processor._features.cache_clear()


@pytest.mark.parametrize(
    ("text", "wide", "bf16"),
    [
        ("processor : 0\nflags\t\t: fpu avx avx2\n\nflags : avx512f\n", True, True),
        ("flags : avx2 avx512f\n", False, True),
        ("flags : avx2 avx512f avx512_bf16\n", False, False),
        ("flags : avx512f amx_bf16\n", False, False),
        ("flags :\n", False, False),
        ("Features\t: fp asimd\n", False, False),
        (None, False, False),
    ],
)
def test_what_is_lacked(listed, text, wide, bf16):
    listed(text)
    assert processor.lacks(*processor.WIDE) == wide
    assert processor.imitates_bf16(BF16, "cpu") == processor.lacks(*processor.BF16) == bf16
    assert not processor.imitates_bf16(BF16, "cuda")
    assert not processor.imitates_bf16(FLOAT32, "cpu")


def test_the_note_names_who_is_slow(listed):
    listed("flags : avx2\n")
    line = processor.note({"baseline": BF16}, "cpu", cluster=False)
    assert line.startswith("training.precision: bf16 takes some 10 times as long as float32 here")
    assert "(avx512_bf16 or amx_bf16)" in line and "\n" not in line
    assert "bf16 (variant two) takes" in processor.note(
        {"one": FLOAT32, "two": BF16}, "cpu", cluster=False
    )
    for variants, device, cluster in (
        ({"one": FLOAT32}, "cpu", False),
        ({"one": BF16}, "cuda", False),
        ({"one": BF16}, "cpu", True),
    ):
        assert processor.note(variants, device, cluster=cluster) is None
