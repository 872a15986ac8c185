"""How often the intervals of learning curves hold the gain that twice as many labels bring.

Curves of known laws, with an error that all shares have in common (the test molecules) and one of each share
and seed. Compared are ways to take the spread of few seeds: of each share alone, and at least the mean over
the shares, as `learning_curves.covariance_of` does.

    python tests/benchmarks/learning_curves.py [--curves 2000]
"""

import argparse

import numpy as np

from screening.evaluation.extrapolation import AHEAD, NO, WORTH, YES, Curves, extrapolate

SHARES = np.array([0.1, 0.25, 0.5, 1.0])
COMMON = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", type=int, default=2000)
    n, random = parser.parse_args().curves, np.random.default_rng(1)
    ceiling, slope, exponent = random.uniform([[0.7], [0.0], [0.2]], [[0.95], [0.12], [1.0]], (3, n))
    truth = ceiling[:, None] - slope[:, None] * SHARES ** -exponent[:, None]
    gain = slope * (1 - AHEAD**-exponent)
    print("seeds  sd     spread      carried  held   yes, right  hardly, right")
    for seeds in (2, 3, 5):
        for sd in (0.005, 0.015):
            noise = random.normal(size=(n, seeds, 4)) * sd * SHARES**-0.25
            values = truth[:, None] + random.normal(0, COMMON, (n, 1, 1)) + noise
            own = values.var(axis=1, ddof=1)
            pooled = np.maximum(own, own.mean(axis=1, keepdims=True))
            for name, spread in (("its own", own), ("pooled", pooled)):
                covariance = COMMON**2 + np.einsum("cs,st->cst", spread / seeds, np.eye(4))
                curves = Curves(np.tile(SHARES, (n, 1)), values.mean(axis=1), covariance)
                what = extrapolate(curves, seed=0, draws=200)
                told = np.isfinite(what.gain)
                held = ((what.gain_low <= gain) & (gain <= what.gain_high))[told].mean()
                yes, no = what.answer == YES, what.answer == NO
                print(
                    f"{seeds:5}  {sd:.3f}  {name:10}  {told.mean():7.2f}  {held:.3f}"
                    f"  {(gain[yes] >= WORTH).mean():10.3f}  {(gain[no] < WORTH).mean():13.3f}"
                )


if __name__ == "__main__":
    main()
