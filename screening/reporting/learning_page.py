"""The page about learning curves: is it worth measuring more, assay by assay."""

import pandas as pd

from ..config import Config
from ..config_studies import LearningCurve
from ..evaluation.extrapolation import AHEAD, FLAT, NO, PERHAPS, UNTOLD, WIDEST, WORTH, YES
from ..evaluation.learning_curves import MEAN, LearningCurves
from ..training.run_folder import write_text
from .pages import render
from .pictures.learning import PANELS, learning_curves

PAGE, PICTURE = "curve.html", "curve.svg"
ORDER = (YES, PERHAPS, NO, FLAT, UNTOLD)
SHADES = dict(zip(ORDER, ("good", "fair", "chance", "worse", "few"), strict=True))


def write_learning_page(curves: LearningCurves, config: Config) -> None:
    """Write curve.html and curve.svg into the folder of the curves."""
    answers = ordered(curves.answers)
    parts = [answers.iloc[at : at + PANELS] for at in range(0, len(answers), PANELS)]
    pictures = [
        learning_curves(curves.points, part, curves.metric, f"curves-{number}")
        for number, part in enumerate(parts)
    ]
    write_text(curves.folder / PICTURE, pictures[0].svg)
    section = config.learning_curve or LearningCurve()
    page = render(
        "curve.html",
        name=config.name,
        curves=curves,
        section=section,
        seeds=[config.seed, config.seed + section.seeds - 1],
        rows=answers.to_dict("records"),
        points=curves.points.to_dict("records"),
        counts={answer: int(n) for answer in ORDER if (n := (_of_assays(answers) == answer).sum())},
        pictures=pictures,
        shades=SHADES,
        ahead=AHEAD,
        worth=WORTH,
        widest=WIDEST,
        mean=MEAN,
    )
    write_text(curves.folder / PAGE, page)


def ordered(answers: pd.DataFrame) -> pd.DataFrame:
    """The mean over assays first, then what is most worth measuring."""
    rank = answers["answer"].map({answer: place for place, answer in enumerate(ORDER)})
    rank = rank.where(answers["assay"] != MEAN, -1)
    return answers.assign(rank=rank).sort_values(["rank", "gain"], ascending=[True, False], kind="stable")


def _of_assays(answers: pd.DataFrame) -> pd.Series:
    return answers.loc[(answers["assay"] != MEAN) & (answers["thinned"] == "all"), "answer"]
