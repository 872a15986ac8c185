"""How good runs are: per assay, on other tables, against each other, over seeds.

Examples
--------
>>> import screening as sc
>>> from screening.evaluation import seed_configs
>>> config = sc.load_config({"name": "a", "data": {"source": "assays.csv"}})
>>> [each.name for each in seed_configs(config, 2)]  # for `train_set`; then compare(["runs/a", "runs/b"])
['a-seed0', 'a-seed1']
"""

from typing import TYPE_CHECKING

from ..faces import lazy

if TYPE_CHECKING:
    from .benchmarks import benchmark as benchmark
    from .comparison import compare as compare
    from .external import assess as assess
    from .learning_curves import learning_curve as learning_curve
    from .replicates import fold_configs as fold_configs
    from .replicates import seed_configs as seed_configs
    from .replicates import train_set as train_set

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "assess": "external",
        "benchmark": "benchmarks",
        "compare": "comparison",
        "fold_configs": "replicates",
        "learning_curve": "learning_curves",
        "seed_configs": "replicates",
        "train_set": "replicates",
    },
)
