"""How long it takes to choose groups, and how near the searches come to each other.

    OMP_NUM_THREADS=1 python tests/benchmarks/grouping.py [--tasks 617] [--groups 8] [--seeds 3]

First the exact search against trying all covers, the authors' way, where that ends, and at T = 12 and 15;
then every search at T in the hundreds on affinities of three kinds: planted groups, low rank with tasks that
help or harm everybody, and one with half of the pairs unknown. Seconds of processor time.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np

from screening.grouping.selection import METHODS, Grouping, judge_groups, select_groups


def cpu_time(work: Callable[[], Grouping]) -> tuple[Grouping, float]:
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def all_covers(affinity: np.ndarray, n_groups: int) -> Grouping:
    """The best of all sets of up to K subsets, one by one."""
    n = len(affinity)
    groups = [g for size in range(2, n + 1) for g in itertools.combinations(range(n), size)]
    scores = np.full((len(groups), n), -np.inf)
    for k, group in enumerate(groups):
        for task in group:
            scores[k, task] = np.mean([affinity[s, task] for s in group if s != task])
    best, chosen = -np.inf, ()
    for k in range(1, n_groups + 1):
        for cover in itertools.combinations(range(len(groups)), k):
            total = scores[list(cover)].max(axis=0).sum()
            if total > best + 1e-12:
                best, chosen = total, cover
    return judge_groups(affinity, [groups[k] for k in chosen])


def exact_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    print(f"{'exact search':24s}{'all covers':>12s}{'ours':>10s}{'ratio':>10s}")
    for n, n_groups in ((5, 3), (6, 3), (7, 2), (12, 4), (12, 12), (15, 4)):
        affinity = random.normal(size=(n, n))
        ours, seconds = cpu_time(lambda: select_groups(affinity, n_groups, method="exact"))  # noqa: B023
        line = f"T = {n}, K = {n_groups}"
        if n > 7:
            print(f"{line:24s}{'-':>12s}{seconds:9.2f}s")
            continue
        plain, slow = cpu_time(lambda: all_covers(affinity, n_groups))  # noqa: B023
        if not np.isclose(plain.objective, ours.objective):
            raise SystemExit(f"{line}: {plain.objective} by all covers, {ours.objective} by ours")
        print(f"{line:24s}{slow:11.2f}s{seconds:9.3f}s{slow / seconds:10.0f}")


def affinities(n: int, n_groups: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    block = random.permutation(np.arange(n) % n_groups)
    yield "planted groups", 0.1 * (block[:, None] == block) + 0.2 * random.normal(size=(n, n))
    factors = random.normal(size=(n, 8))
    loud = np.exp(random.normal(size=n))[:, None] * (factors @ factors.T)
    yield "low rank", loud + random.normal(size=(n, n))
    gaps = factors @ factors.T + 3 * random.normal(size=(n, n))
    yield "half unknown", np.where(random.random((n, n)) < 0.5, np.nan, gaps)


def large_searches(n: int, n_groups: int, seed: int) -> None:
    head = f"T = {n}, K = {n_groups}, seed {seed}"
    print(f"\n{head:24s}{'method':>16s}{'seconds':>10s}{'objective':>12s}{'joint':>10s}")
    for kind, affinity in affinities(n, n_groups, seed):
        for method in METHODS:
            if method != "exact":
                found, seconds = cpu_time(lambda: select_groups(affinity, n_groups, method=method))  # noqa: B023
                joint = np.nanmean(found.joint)
                print(
                    f"{kind:24s}{method:>16s}{seconds:10.1f}{found.objective:12.4f}{joint:10.4f}", flush=True
                )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=617)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    exact_search(0)
    for seed in range(options.seeds):
        large_searches(options.tasks, options.groups, seed)


if __name__ == "__main__":
    main()
