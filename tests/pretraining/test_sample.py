"""The sample of a library: random, the same whatever the order of the files, and every record counted."""

from collections import Counter
from pathlib import Path

import pytest

from screening.pretraining import sample as sampling
from screening.scoring.library import open_library

CHAINS = ["C" * n + "O" + "C" * k for n in range(1, 21) for k in range(20)]


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def sample(*paths: Path, most: int = 1000, seed: int = 0) -> sampling.Sample:
    return sampling.sample_of(open_library(paths), most, seed)


def test_order_of_files_and_records_does_not_matter(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.smi", CHAINS[:150]), write(tmp_path / "b.smi", CHAINS[150:])
    back = write(tmp_path / "back.smi", CHAINS[::-1])
    texts = sample(one, other).texts
    assert sorted(texts) == sorted(CHAINS)
    assert texts == sample(other, one).texts == sample(back).texts
    assert texts not in (CHAINS, sorted(CHAINS), sample(one, other, seed=1).texts)


@pytest.mark.parametrize("most", [1, 7, 100, 399, 400, 401])
def test_a_smaller_sample_is_the_beginning_of_a_larger_one_and_all_is_counted(
    tmp_path: Path, most: int
) -> None:
    path = write(tmp_path / "a.smi", [*CHAINS, *CHAINS[:30]])
    drawn = sample(path, most=most)
    assert drawn.texts == sample(path).texts[:most]
    assert drawn.records == 430
    assert drawn.records == len(drawn.texts) + drawn.repeated + drawn.left_out + drawn.reasons.total()
    assert sample(path).repeated == 30


def test_memory_is_bounded_where_few_of_many_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blocks of 10 records, never more than 2 * most + 10 texts are held."""
    path, held = write(tmp_path / "a.smi", CHAINS), []
    expected = sample(path).texts[:5]
    monkeypatch.setattr(
        sampling, "sorted", lambda each: held.append(len(each)) or sorted(each), raising=False
    )
    drawn = sampling.sample_of(open_library([path], block_size=10), 5, 0)
    assert drawn.texts == expected
    assert max(held) <= 20


def test_every_structure_is_as_likely_as_any_other(tmp_path: Path) -> None:
    """Each of 400 in a sample of 100 with 40 seeds: 10 times on average, with the deviation of a binomial."""
    path = write(tmp_path / "a.smi", CHAINS)
    counts = Counter(text for seed in range(40) for text in sample(path, most=100, seed=seed).texts)
    numbers = [counts[text] for text in CHAINS]
    variance = sum((number - 10) ** 2 for number in numbers) / 400
    assert sum(numbers) == 4000
    assert 5.5 < variance < 9.5  # 40 * 1/4 * 3/4 = 7.5; its own deviation over 400 structures is 0.5


def test_records_that_are_none_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("smiles,x\nCCO,1\nCCN,1,1,1\n")
    drawn = sample(path)
    assert drawn.records == len(drawn.texts) + drawn.repeated + drawn.left_out + drawn.reasons.total()
    assert drawn.reasons.total() > 0
