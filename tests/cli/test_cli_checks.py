"""Options are checked before tables, models and folders: where both are wrong, the option speaks."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from screening.cli import main as cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate runs/none --part tset", "--part is 'tset'"),
        ("evaluate runs/none --sort roc_aux", "Did you mean 'roc_auc'"),
        ("evaluate runs/none --out assays.txt", "--out is 'assays.txt'"),
        ("evaluate runs/none --out nowhere/assays.csv", "--out is 'nowhere/assays.csv'"),
        ("evaluate runs/none --plot nowhere/assays.svg", "--plot is 'nowhere/assays.svg'"),
        ("evaluate runs/none --smiles x", "--smiles"),
        ("evaluate runs/none --keep-known", "--keep-known"),
        ("evaluate runs/none --learning --sort brier", "--sort"),
        ("compare runs/none runs/nine --part tset", "--part is 'tset'"),
        ("compare runs/none runs/nine --metric roc_aux", "Did you mean 'roc_auc'"),
        ("compare runs/none runs/nine --adjust hol", "Did you mean 'holm'"),
        ("compare runs/none runs/nine --out nowhere/a.csv", "--out is 'nowhere/a.csv'"),
        ("explain runs/none none.smi --assay a --method occlusions", "Did you mean 'occlusion'"),
        ("explain runs/none none.smi --assay a --limit 0", "--limit"),
        ("hits runs/none none --assay a --diverse sphere", "Did you mean 'spheres'"),
        ("hits runs/none none --assay a --filters pain", "Did you mean 'pains'"),
        ("hits runs/none none --assay a --n 0", "--n"),
        ("hits runs/none none --assay a --top 0", "--top"),
        ("hits runs/none none --assay a --distance 2", "--distance"),
        ("export runs/none --out model.txt", ".onnx"),
        ("group small.yaml --groups 2 --scale row", "Did you mean 'raw'"),
        ("group small.yaml --groups 2 --affinity linaer", "Did you mean 'linear'"),
        ("group small.yaml --groups 0", "--groups"),
        ("group small.yaml --groups 2 --budget 2", "budget"),
        ("group small.yaml", "--groups"),
        ("group small.yaml --budget -1", "budget"),
        ("group small.yaml --groups 2 --evaluate --seeds 0", "--seeds"),
        ("group small.yaml --groups 2 --evaluate --draws -1", "--draws"),
        ("train small.yaml --seeds 0", "--seeds is 0"),
        ("train small.yaml --folds 2", "--folds is 2"),
        ("train small.yaml --epochs 0", "train.epochs"),
        ("train small.yaml epochs=3", "train.epochs"),
        ("train small.yaml --lr 0.3", "train.lr=0.3"),
        ("train small.yaml --depth=4", "model.encoder.depth=4"),
        ("train small.yaml --name a/b", "name"),
        ("train small.yaml --seed -1", "seed"),
        ("train small.yaml model.encoder=gin", "Did you mean 'gine'"),
        ("train small.yaml balancer=slawe", "Did you mean 'slaw'"),
        ("train small.yaml split=scafold", "Did you mean 'scaffold'"),
        ("train small.yaml calibration=plat", "Did you mean 'platt'"),
        ("train small.yaml features.vectors=[ecfp]", "ecfp"),
        ("train small.yaml features.graph=atom_code", "Did you mean 'atom_codes'"),
        ("train small.yaml train.device=tpu9", "device"),
    ],
)
def test_a_wrong_option_is_named_before_a_missing_file(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "small.yaml").write_text("name: small\ndata: {source: none.csv}\nsplit: random\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["screening", *shlex.split(words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    errors = capsys.readouterr().err
    assert end.value.code == 2, errors
    assert message in errors
    assert not any(path in errors for path in ("none.csv", "runs/none", "none.smi"))
    assert os.listdir(tmp_path) == ["small.yaml"]
