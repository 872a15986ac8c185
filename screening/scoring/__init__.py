"""A library as a stream of blocks that can be restarted.

Examples
--------
>>> import tempfile
>>> import pandas as pd
>>> import screening as sc
>>> frame = pd.DataFrame({"smiles": ["C" * n for n in range(1, 61)], "long": [0] * 30 + [1] * 30})
>>> forest = {"model": {"baseline": {"name": "random_forest", "trees": 10}}, "split": "random"}
>>> forest |= {"features": {"vectors": ["ecfp_counts"]}, "train": {"workers": 0}}
>>> run = sc.train({"name": "example", "runs": tempfile.mkdtemp(), **forest}, frame)
>>> from screening.scoring import Scorer, score_library
>>> Scorer.load(run).score(["CCCC", "C1CC"])["status"].tolist()
['ok', 'rejected']
>>> library = run.folder / "library.smi"
>>> library.write_text("CCC a\\nCCCCCCC b\\n")
16
>>> report = score_library(run, library, run.folder / "scores", top=1, workers=0)
>>> report.read, report.scored, report.top.name
(2, 2, 'top.csv')
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .choices import Engine as Engine
    from .choices import Extras as Extras
    from .choices import Input as Input
    from .choices import Output as Output
    from .job import score_library as score_library
    from .scorer import Scorer as Scorer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Scorer": "scorer",
        "Engine": "choices",
        "Extras": "choices",
        "Output": "choices",
        "Input": "choices",
        "score_library": "job",
    },
)
