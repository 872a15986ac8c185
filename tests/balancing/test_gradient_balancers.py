"""Balancers by gradients: what each method promises, explicit gradients, and TorchJD."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from screening.balancing import tracked_rows as _tracked
from screening.balancing.chain import build_balancer
from screening.balancing.contract import Balancer, balancers
from screening.balancing.gradients import Gradients
from screening.balancing.methods.pcgrad import project_conflicts
from screening.balancing.step import Step
from screening.errors import ConfigError
from screening.models.heads import TaskHeads

SHAPES = [(1, 4), (2, 3), (6, 20), (300, 400)]
DEPENDENT = [(3, 2), (6, 4), (60, 20)]
every_shape = pytest.mark.parametrize(("n_tasks", "width"), SHAPES)
SCALES = [1e-8, 1.0, 1e8]
every_scale = pytest.mark.parametrize("scale", SCALES)


def names(n_tasks: int) -> list[str]:
    return [f"assay {task}" for task in range(n_tasks)]


def draw(n_tasks: int, width: int, *, seed: int = 0, common: float = 0.0, spread: float = 1.0) -> Tensor:
    """Gradients [n, P] float64 with lengths within a factor of 10^spread, and a common part if wanted."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, width, generator=generator, dtype=torch.float64) + common
    lengths = 10 ** (spread * torch.rand(n_tasks, 1, generator=generator, dtype=torch.float64))
    return lengths * normalize(rows)


def a_step(rows: Tensor, losses: Tensor | None = None, number: int = 0) -> Step:
    ones = torch.ones(len(rows))
    return Step(
        losses=ones if losses is None else losses,
        present=ones.bool(),
        counts=10 * ones,
        gram=rows @ rows.T,
        rows=rows.float(),
        step=number,
    )


def weights_of(name: str, rows: Tensor, **options: Any) -> Tensor:
    balancer = build_balancer({"name": name, **options}, names(len(rows)))
    return balancer.weigh(a_step(rows)).double()


def mean_update(name: str, rows: Tensor, **options: Any) -> Tensor:
    """The update as the objective takes it: sum(w g) / n."""
    return weights_of(name, rows, **options) @ rows / len(rows)


def along(update: Tensor, rows: Tensor) -> Tensor:
    """Cosines of an update with the gradients."""
    return normalize(rows) @ update / update.norm()


# Identities


@every_shape
@every_scale
def test_slw_makes_all_gradients_equally_long(n_tasks: int, width: int, scale: float) -> None:
    rows = scale * draw(n_tasks, width)
    lengths = weights_of("slw", rows, eps=1e-30) * rows.norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(n_tasks), rtol=1e-5, atol=0)


@every_shape
@every_scale
def test_nash_products_of_weight_and_part_are_equal(n_tasks: int, width: int, scale: float) -> None:
    rows = scale * draw(n_tasks, width)
    weights = weights_of("nash_mtl", rows)
    products = weights * (rows @ (weights @ rows))
    torch.testing.assert_close(products, products[:1].expand(n_tasks), rtol=1e-5, atol=0)


@every_shape
@every_scale
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 10.0])
def test_fairgrad_parts_are_powers_of_the_weights(
    n_tasks: int, width: int, scale: float, alpha: float
) -> None:
    rows = scale * draw(n_tasks, width)
    weights = weights_of("fairgrad", rows, alpha=alpha)
    ratios = (rows @ (weights @ rows)) * weights ** (1 / alpha)
    torch.testing.assert_close(ratios, ratios[:1].expand(n_tasks), rtol=1e-5, atol=0)


def test_fairgrad_goes_from_the_sum_over_nash_to_the_largest_minimum() -> None:
    rows = draw(5, 20)
    torch.testing.assert_close(
        weights_of("fairgrad", rows, alpha=0.01), torch.ones(5).double(), rtol=0.2, atol=0
    )
    torch.testing.assert_close(weights_of("fairgrad", rows, alpha=1.0), weights_of("nash_mtl", rows))
    parts = rows @ mean_update("fairgrad", rows, alpha=100.0)
    assert parts.max() / parts.min() < 1.2


@every_shape
@every_scale
def test_imtl_g_has_the_same_part_along_every_gradient(n_tasks: int, width: int, scale: float) -> None:
    rows = scale * draw(n_tasks, width)
    cosines = along(mean_update("imtl_g", rows), rows)
    torch.testing.assert_close(cosines, cosines[:1].expand(n_tasks), rtol=1e-4, atol=1e-6)
    assert (cosines > 0).all()
    direction = mean_update("con_fig", rows)
    torch.testing.assert_close(along(direction, rows), cosines, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        direction.norm(), (rows @ normalize(direction, dim=0)).mean(), rtol=1e-5, atol=0
    )


def test_imtl_g_is_the_closed_form_of_the_paper() -> None:
    rows = draw(4, 9, common=0.5)
    units = normalize(rows)
    differences, sides = rows[:1] - rows[1:], units[:1] - units[1:]
    shares = rows[0] @ sides.T @ torch.linalg.inv(differences @ sides.T)
    expected = torch.cat([1 - shares.sum()[None], shares])
    weights = weights_of("imtl_g", rows)
    torch.testing.assert_close(weights / weights.sum(), expected, rtol=1e-5, atol=1e-6)


def test_imtl_g_never_turns_against_every_task() -> None:
    # the closed form has sum(w) = 1 by a factor below 0 here: w is as (-1.1, 0.3) before
    rows = torch.tensor([[0.1, 0.0], [10.0, 0.1]], dtype=torch.float64)
    assert (along(mean_update("imtl_g", rows), rows) > 0).all()
    rows = torch.tensor([[10.0, 0.0], [0.3, 0.4], [-3.0, 1.0]], dtype=torch.float64)
    assert weights_of("imtl_g", rows).abs().sum() == pytest.approx(3)


@every_shape
@every_scale
@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_aligned_gradients_have_one_singular_value(n_tasks: int, width: int, scale: float, mode: str) -> None:
    rows = scale * draw(n_tasks, width)
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    size = {
        "min": values[-1],
        "median": (values**2).median().sqrt(),
        "rmse": (values**2).mean().sqrt(),
    }[mode]
    torch.testing.assert_close(
        weights_of("aligned_mtl", rows, scale=mode) @ rows / size,
        (left @ right).sum(0),
        rtol=0,
        atol=1e-4 if n_tasks < 128 else 0.05,
    )


@pytest.mark.parametrize("scale", SCALES)
def test_mgda_of_two_tasks_is_the_closed_form(scale: float) -> None:
    for seed in range(20):
        rows = scale * draw(2, 3, seed=seed)
        share = (rows[1] - rows[0]) @ rows[1] / ((rows[0] - rows[1]) ** 2).sum()
        expected = torch.stack([share, 1 - share]).clamp(0, 1)
        torch.testing.assert_close(weights_of("mgda", rows) / 2, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n_tasks", "width"), [*SHAPES, *DEPENDENT])
@every_scale
def test_mgda_is_the_shortest_mean(n_tasks: int, width: int, scale: float) -> None:
    rows = scale * draw(n_tasks, width)
    update = mean_update("mgda", rows)
    shortest = rows.norm(dim=1).min()
    assert float((rows @ update - update @ update).min()) >= -1e-5 * float(shortest**2)


def test_mgda_inside_the_hull_is_zero() -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [-1.0, -2.0]], dtype=torch.float64)
    assert mean_update("mgda", rows).norm() < 1e-5


@pytest.mark.parametrize(("n_tasks", "width"), [*SHAPES, *DEPENDENT])
@every_scale
@pytest.mark.parametrize("name", ["dualproj", "upgrad"])
def test_projections_on_the_dual_cone_harm_no_task(n_tasks: int, width: int, scale: float, name: str) -> None:
    rows = scale * draw(n_tasks, width, common=0.5)
    options = {"tolerance": 1e-8} if name == "upgrad" else {}
    update = mean_update(name, rows, **options)
    harm = 1e-5 * update.norm() if width > n_tasks else 1e-3 * rows.norm(dim=1).mean()
    assert float((normalize(rows) @ update).min()) >= -float(harm)
    assert (weights_of(name, rows, **options) > 0.999).all()


@pytest.mark.parametrize("name", ["dualproj", "upgrad", "pcgrad"])
def test_without_conflict_nothing_is_projected(name: str) -> None:
    rows = torch.rand(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(weights_of(name, rows), torch.ones(5).double())


def test_upgrad_is_the_mean_of_the_projections() -> None:
    scipy = pytest.importorskip("scipy.optimize")
    rows = draw(30, 60, spread=2.0)
    moves = [torch.from_numpy(scipy.nnls(rows.T.numpy(), -row.numpy())[0]) for row in rows]
    expected = torch.stack([row + move @ rows for row, move in zip(rows, moves, strict=True)]).mean(0)
    torch.testing.assert_close(mean_update("upgrad", rows, tolerance=1e-9), expected, rtol=0, atol=1e-4)


def test_upgrad_with_the_default_tolerance_is_near_the_exact_one() -> None:
    rows = draw(300, 3000)
    exact, found = mean_update("upgrad", rows, tolerance=1e-9), mean_update("upgrad", rows)
    assert (found - exact).norm() < 0.005 * exact.norm()


@pytest.mark.parametrize(("n_tasks", "width"), [(2, 3), (6, 20), (30, 100)])
@every_scale
@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_cagrad_is_at_the_edge_and_beats_the_mean_for_the_worst(
    n_tasks: int, width: int, scale: float, c: float
) -> None:
    rows = scale * draw(n_tasks, width)
    mean, update = rows.mean(0), (1 + c**2) * mean_update("cagrad", rows, c=c)
    assert float((update - mean).norm() / mean.norm()) == pytest.approx(c, rel=1e-4)
    assert (rows @ update).min() > (rows @ mean).min()
    for other in draw(50, width, seed=1):
        point = mean + c * mean.norm() * normalize(other, dim=0)
        assert (rows @ update).min() >= (rows @ point).min() - 1e-4 * scale**2


def test_cagrad_tends_from_the_mean_to_mgda() -> None:
    rows = draw(5, 12)
    torch.testing.assert_close(mean_update("cagrad", rows, c=0.0), rows.mean(0), rtol=1e-6, atol=0)
    far, shortest = mean_update("cagrad", rows, c=1000.0), mean_update("mgda", rows)
    assert torch.cosine_similarity(far, shortest, dim=0) > 0.9999


def test_gradnorm_learns_to_make_gradients_equally_long() -> None:
    rows = draw(3, 5)
    balancer = build_balancer({"name": "gradnorm", "alpha": 0.0}, names(3))
    for number in range(300):
        weights = balancer.weigh(a_step(rows, number=number)).double()
    lengths = weights * rows.norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(3), rtol=0.05, atol=0)


def test_gradnorm_favours_the_task_that_learns_slowly() -> None:
    rows = normalize(draw(3, 5))
    balancer = build_balancer({"name": "gradnorm", "alpha": 1.0}, names(3))
    for number in range(300):
        losses = torch.tensor([1.0, 1 / (1 + number / 10), 1 / (1 + number)])
        weights = balancer.weigh(a_step(rows, losses, number))
    assert weights[0] > weights[1] > weights[2]


def test_imtl_has_the_direction_of_imtl_g_and_trains_heads_with_imtl_l() -> None:
    rows, losses = draw(3, 5), torch.tensor([0.5, 1.0, 2.0])
    hybrid, first = build_balancer({"name": "imtl", "lr": 0.5}, names(3)), build_balancer("imtl_l", names(3))
    first.adam.lr = 0.5
    for _ in range(5):
        decision, head_weights = hybrid.decide(a_step(rows, losses)), first.weigh(a_step(rows, losses))
    torch.testing.assert_close(decision.head_weights, head_weights)
    update = decision.weights.double() @ rows
    torch.testing.assert_close(
        normalize(update, dim=0), normalize(mean_update("imtl_g", rows), dim=0), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("name", ["cagrad", "con_fig", "fairgrad", "imtl_g", "mgda", "nash_mtl", "pcgrad"])
def test_a_task_without_slope_decides_nothing(name: str) -> None:
    rows = draw(4, 9)
    rows[2] = 0
    kept = [0, 1, 3]
    update, expected = mean_update(name, rows), mean_update(name, rows[kept])
    if name in ("cagrad", "pcgrad"):  # it counts in the mean
        assert update.norm() > 0.3 * expected.norm()
        return
    torch.testing.assert_close(normalize(update, dim=0), normalize(expected, dim=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["fairgrad", "imtl_g", "con_fig", "nash_mtl"])
def test_scale_of_single_losses_does_not_change_the_direction(name: str) -> None:
    rows = draw(6, 20)
    factors = torch.logspace(-3, 3, 6)[:, None].double()
    options = {"alpha": 1.0} if name == "fairgrad" else {}
    one, other = mean_update(name, rows, **options), mean_update(name, factors * rows, **options)
    torch.testing.assert_close(normalize(one, dim=0), normalize(other, dim=0), rtol=0, atol=1e-4)


# Projections in turn


def explicit_projections(rows: Tensor, order: list[list[int]], targets: Tensor | None = None) -> Tensor:
    """PCGrad's loop, or GradVac's (equation 3), over explicit gradients; row i is what gradient i becomes."""
    result = rows.clone()
    for i, others in enumerate(order):
        for j in others:
            cosine = torch.cosine_similarity(result[i], rows[j], dim=0)
            target = torch.zeros(()) if targets is None else targets[i, j]
            if cosine < target:
                top = target * (1 - cosine**2).sqrt() - cosine * (1 - target**2).sqrt()
                factor = result[i].norm() * top / (rows[j].norm() * (1 - target**2).sqrt())
                result[i] += factor * rows[j]
    return result


def cyclic_orders(order: list[int]) -> list[list[int]]:
    """Per task the others, as read on a circle from the task on."""
    places = {task: place for place, task in enumerate(order)}
    return [order[places[task] + 1 :] + order[: places[task]] for task in range(len(order))]


@pytest.mark.parametrize("name", ["pcgrad", "gradvac"])
@pytest.mark.parametrize("order", ["cyclic", "shared"])
@pytest.mark.parametrize(("n_tasks", "width"), [(2, 2), (7, 4), (40, 60)])
def test_projections_in_turn_are_the_loop_over_explicit_gradients(
    name: str, order: str, n_tasks: int, width: int
) -> None:
    rows = draw(n_tasks, width)
    balancer = build_balancer({"name": name, "order": order, "seed": 3}, names(n_tasks))
    targets = None
    if name == "gradvac":
        noise = torch.rand(n_tasks, n_tasks, generator=torch.Generator().manual_seed(5))
        targets = (0.3 * noise - 0.1).double()
        balancer.targets.copy_(targets)
    drawn = build_balancer({"name": name, "seed": 3}, names(n_tasks)).generator(torch.device("cpu"))
    sequence = torch.randperm(n_tasks, generator=drawn).tolist()
    orders = cyclic_orders(sequence)
    if order == "shared":
        orders = [[other for other in sequence if other != task] for task in range(n_tasks)]
    expected = explicit_projections(rows, orders, targets).sum(0)
    update = balancer.weigh(a_step(rows)).double() @ rows
    torch.testing.assert_close(update, expected, rtol=0, atol=1e-5 * float(expected.norm()))


def test_projections_of_hundreds_of_tasks_in_single_precision() -> None:
    rows = draw(200, 300)
    balancer = build_balancer("pcgrad", names(200))
    sequence = torch.randperm(
        200, generator=build_balancer("pcgrad", names(200)).generator(torch.device("cpu"))
    )
    orders = torch.tensor(cyclic_orders(sequence.tolist()))
    expected = project_conflicts(rows @ rows.T, orders).sum(0) @ rows
    update = balancer.weigh(a_step(rows)).double() @ rows
    assert (update - expected).norm() < 1e-4 * expected.norm()


def test_all_orders_have_the_same_expectation() -> None:
    rows = draw(4, 3)
    means = {}
    for order in ("cyclic", "shared", "independent"):
        balancer = build_balancer({"name": "pcgrad", "order": order}, names(4))
        many = torch.stack([balancer.weigh(a_step(rows)) for _ in range(1000)])
        means[order] = (many.mean(0), many.var(0) / 1000)
    for order in ("cyclic", "shared"):
        error = (means[order][1] + means["independent"][1]).sqrt()
        assert ((means[order][0] - means["independent"][0]).abs() <= 5 * error + 1e-6).all()


def test_gradvac_starts_as_pcgrad_and_follows_the_cosines() -> None:
    rows = draw(2, 5)
    balancer = build_balancer({"name": "gradvac", "beta": 0.25}, names(2))
    torch.testing.assert_close(balancer.weigh(a_step(rows)).double(), weights_of("pcgrad", rows))
    cosine = torch.cosine_similarity(rows[0], rows[1], dim=0)
    expected = 0.25 * cosine * (1 - torch.eye(2))
    torch.testing.assert_close(balancer.targets, expected.double())


def test_gradvac_brings_a_pair_to_its_target() -> None:
    rows = draw(2, 5)
    balancer = build_balancer("gradvac", names(2))
    balancer.targets.copy_(torch.tensor([[0.0, 0.8], [-1.0, 0.0]]))
    weights = balancer.weigh(a_step(rows)).double()
    first = rows[0] + (weights[1] - 1) * rows[1]  # the second needs no move
    assert torch.cosine_similarity(first, rows[1], dim=0) == pytest.approx(0.8, rel=1e-5)


# Gradients themselves


def test_graddrop_keeps_one_sign_at_every_coordinate() -> None:
    rows = draw(6, 500).float()
    balancer = build_balancer("graddrop", names(6))
    direction = balancer.decide(a_step(rows)).direction
    assert direction is not None
    positive, negative = rows.clamp(min=0).sum(0), rows.clamp(max=0).sum(0)
    is_positive, is_negative = torch.isclose(direction, positive), torch.isclose(direction, negative)
    assert (is_positive | is_negative).all()
    expected = (positive / (positive - negative)).sum()
    assert abs(float(is_positive.sum() - expected)) < 4 * 500**0.5 / 2


def test_graddrop_leaks() -> None:
    rows = draw(3, 50).float()
    torch.testing.assert_close(
        build_balancer({"name": "graddrop", "leak": 1.0}, names(3)).decide(a_step(rows)).direction,
        rows.sum(0),
    )


def explicit_krum(rows: Tensor, n_faulty: int, n_selected: int) -> Tensor:
    """Scores of the paper, gradient by gradient: which are kept."""
    scores = []
    for i in range(len(rows)):
        distances = sorted(float((rows[i] - rows[j]).square().sum()) for j in range(len(rows)) if j != i)
        scores.append(sum(distances[: len(rows) - n_faulty - 2]))
    return torch.tensor(scores).argsort()[:n_selected].sort().values


@pytest.mark.parametrize(("n_tasks", "width", "n_faulty"), [(5, 3, 1), (20, 40, 4), (60, 5, 12)])
def test_krum_is_the_loop_over_explicit_gradients(n_tasks: int, width: int, n_faulty: int) -> None:
    rows = draw(n_tasks, width)
    for selected in (1, 3, None):
        kept = n_tasks - n_faulty if selected is None else selected
        weights = weights_of("krum", rows, selected=selected)
        assert torch.equal(weights.nonzero()[:, 0], explicit_krum(rows, n_faulty, kept))
        torch.testing.assert_close(weights.max(), torch.tensor(n_tasks / kept).double())


def test_krum_leaves_out_the_gradient_that_is_unlike_the_others() -> None:
    rows = draw(10, 30, common=2.0, spread=0.0)
    rows[3] *= -1
    assert weights_of("krum", rows, faulty=0.1)[3] == 0


def test_krum_lets_tasks_that_tie_share_the_last_place() -> None:
    rows = torch.tensor([[0.0], [1.0], [5.0], [6.0]]).double()
    assert weights_of("krum", rows, selected=1).tolist() == [0, 2, 2, 0]
    assert weights_of("krum", rows[:3], selected=1).tolist() == [1.5, 1.5, 0]


@pytest.mark.parametrize("trim", [0.0, 0.2, 0.45])
def test_trimmed_mean_leaves_out_both_ends_of_every_coordinate(trim: float) -> None:
    rows = draw(20, 9).float()
    ordered, cut = rows.sort(0).values, round(20 * trim)
    direction = _direction(build_balancer({"name": "trimmed_mean", "trim": trim}, names(20)), rows)
    torch.testing.assert_close(direction, 20 * ordered[cut : 20 - cut].mean(0))


def test_trimmed_mean_is_not_moved_by_one_huge_gradient() -> None:
    rows = draw(20, 9, common=1.0).float()
    balancer, wrong = build_balancer("trimmed_mean", names(20)), rows.clone()
    wrong[4] = 1e6
    assert _direction(balancer, wrong).norm() < 2 * _direction(balancer, rows).norm()


@pytest.mark.parametrize("beta", [0.9, 0.99])
def test_slaw_unbiased_takes_the_inner_products_of_different_steps(beta: float) -> None:
    """Mean of g_k . g_l over all pairs of steps k != l, weighed as the running mean weighs them."""
    rows = draw(20, 7, common=1.0, spread=0.0).float()[:, None]
    balancer: Any = build_balancer({"name": "slaw_unbiased", "beta": beta, "floor": 0.0}, names(1))
    shares = torch.zeros(20)
    for number, row in enumerate(rows):
        balancer.weigh(a_step(row))
        rate = max(1 / (number + 1), 1 - beta)
        shares[number], shares[:number] = rate, shares[:number] * (1 - rate)
    pairs = (shares[:, None] * shares).fill_diagonal_(0)
    expected = (pairs / pairs.sum() * (rows[:, 0] @ rows[:, 0].T)).sum().sqrt()
    torch.testing.assert_close(balancer.norms(torch.tensor([0]))[0].float(), expected)


def test_moco_averages_gradients_over_steps() -> None:
    balancer = build_balancer({"name": "moco", "beta": 0.5, "decay": 0.0, "gamma": 1e-9}, names(2))
    first, second = draw(2, 4, seed=0), draw(2, 4, seed=1)
    balancer.decide(a_step(first))
    direction = balancer.decide(a_step(second)).direction
    torch.testing.assert_close(direction, ((first + second) / 2).sum(0).float())


def test_moco_with_fixed_gradients_finds_the_shortest_mean() -> None:
    rows = draw(4, 6, spread=0.3)
    balancer = build_balancer({"name": "moco", "decay": 0.0}, names(4))
    for _ in range(500):
        direction = balancer.decide(a_step(rows)).direction
    assert direction is not None
    torch.testing.assert_close(direction.double() / 4, mean_update("mgda", rows), rtol=0, atol=1e-3)


def test_db_mtl_brings_all_to_the_longest_and_heads_to_log_losses() -> None:
    rows, losses = draw(3, 5), torch.tensor([0.5, 1.0, 2.0])
    decision = build_balancer("db_mtl", names(3)).decide(a_step(rows, losses))
    logs = rows / losses[:, None]
    expected = (normalize(logs) * logs.norm(dim=1).max()).sum(0)
    torch.testing.assert_close(decision.direction, expected.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(decision.head_weights, 1 / losses)


@pytest.mark.parametrize("name", ["modo", "sdmgrad"])
def test_batches_that_agree_lead_towards_the_shortest_mean(name: str) -> None:
    rows = draw(4, 6, spread=0.3)
    options = {"modo": {"rho": 0.0}, "sdmgrad": {"pull": 0.0, "lr": 0.05, "momentum": 0.0}}[name]
    balancer = build_balancer({"name": name, **options}, names(4))
    for _ in range(300):
        weights = balancer.weigh(a_step(rows)).double()
    torch.testing.assert_close(weights @ rows / 4, mean_update("mgda", rows), rtol=0, atol=1e-3)


def test_excess_mtl_favours_the_task_whose_gradient_stays() -> None:
    balancer = build_balancer({"name": "excess_mtl", "eta": 0.5}, names(2))
    rows = draw(2, 5)
    for number in range(10):
        weights = balancer.weigh(a_step(torch.tensor([[1.0], [0.5**number]]) * rows))
    assert weights[0] > 1.5 > 0.5 > weights[1]


@pytest.mark.parametrize(
    "name", ["db_mtl", "excess_mtl", "moco", "modo", "sdmgrad", "slaw_unbiased", "trimmed_mean"]
)
def test_gradients_of_other_molecules_cannot_be_followed(name: str) -> None:
    with pytest.raises(ConfigError, match="last_layer or encoder"):
        Gradients(TaskHeads(3, 2), build_balancer(name, names(2)), at="features")


@pytest.mark.parametrize("name", ["db_mtl", "excess_mtl", "moco", "modo", "sdmgrad", "slaw_unbiased"])
def test_gradients_that_change_their_width_are_refused(name: str) -> None:
    balancer = build_balancer(name, names(2))
    balancer.decide(a_step(draw(2, 4)))
    with pytest.raises(ValueError, match="5 numbers, those of earlier steps 4"):
        balancer.decide(a_step(draw(2, 5)))


@pytest.mark.parametrize("numbers", [1, 12, 10**6])
@pytest.mark.parametrize("tasks", [[0, 1, 2, 3, 4], [4, 1, 2]])
def test_tracked_rows_are_changed_in_parts_and_in_place(
    numbers: int, tasks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tracked, "NUMBERS_AT_ONCE", numbers)
    tracked, which = _tracked.Tracked(5), torch.tensor(tasks)
    torch.manual_seed(0)
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-6)
    first, second = draw(5, 6).float(), draw(len(tasks), 6, seed=1).float()
    products, known = tracked.exchange(torch.arange(5), first)
    assert products.numel() == 0
    assert not known.any()
    kept, taken = torch.rand(2, len(tasks))
    tracked.mix(which, second, kept, taken)
    expected = first.clone()
    expected[which] = kept[:, None] * first[which] + taken[:, None] * second
    close(tracked.rows, expected)
    weights = torch.rand(len(tasks)).double()
    direction = weights.float() @ expected[which]
    close(tracked.combine(which, weights), direction)
    close(tracked.along(which, direction), (expected[which] @ direction).double())
    close(tracked.lengths(which), expected[which].norm(dim=1).double())
    products, known = tracked.exchange(which, second)
    close(products, (expected[which] @ second.T).double())
    assert known.all()
    expected[which] = second
    assert torch.equal(tracked.rows, expected)
    assert tracked.updates.tolist() == [1 + 2 * (task in tasks) for task in range(5)]


# TorchJD


def in_torchjd(name: str, *arguments: Any, **options: Any) -> Callable[[Tensor], Tensor]:
    """One of its aggregators or weightings; skips if TorchJD or a solver it calls is missing."""
    room = pytest.importorskip("torchjd.aggregation")
    torch.manual_seed(0)
    try:
        return getattr(room, name)(*arguments, **options)
    except ImportError as missing:
        pytest.skip(str(missing))


every_matrix = pytest.mark.parametrize(("n_tasks", "width"), [(1, 3), (2, 3), (5, 20), (5, 3), (30, 60)])


@every_matrix
@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_aligned_mtl_is_that_of_torchjd(n_tasks: int, width: int, mode: str) -> None:
    rows = draw(n_tasks, width)
    other = in_torchjd("AlignedMTL", scale_mode=mode)(rows)
    torch.testing.assert_close(mean_update("aligned_mtl", rows, scale=mode), other, rtol=1e-5, atol=1e-5)


@every_matrix
def test_con_fig_is_that_of_torchjd(n_tasks: int, width: int) -> None:
    rows = draw(n_tasks, width)
    other = in_torchjd("ConFIG")(rows) / n_tasks
    torch.testing.assert_close(mean_update("con_fig", rows), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trim", [0.0, 0.1, 0.3])
def test_trimmed_mean_is_that_of_torchjd(trim: float) -> None:
    rows = draw(30, 60).float()
    direction = _direction(build_balancer({"name": "trimmed_mean", "trim": trim}, names(30)), rows)
    torch.testing.assert_close(direction / 30, in_torchjd("TrimmedMean", round(30 * trim))(rows))


def test_krum_is_that_of_torchjd_where_one_distance_decides() -> None:
    """With one neighbour looked at, squared distances and TorchJD's have the same order."""
    rows = torch.cat([draw(4, 20), 100 * draw(1, 20, seed=1)])
    theirs = in_torchjd("Krum", n_byzantine=2, n_selected=2)(rows)
    torch.testing.assert_close(mean_update("krum", rows, faulty=0.4, selected=2), theirs)


@every_matrix
def test_imtl_g_is_that_of_torchjd(n_tasks: int, width: int) -> None:
    rows = draw(n_tasks, width, spread=0.0)  # with dependent gradients of other lengths its pinv differs
    other = in_torchjd("IMTLG")(rows)
    update = mean_update("imtl_g", rows)
    torch.testing.assert_close(
        normalize(update, dim=0), normalize(other, dim=0) * torch.sign(other @ update), rtol=0, atol=1e-5
    )


@every_matrix
def test_mgda_is_no_longer_than_that_of_torchjd(n_tasks: int, width: int) -> None:
    rows = draw(n_tasks, width, common=0.3)
    other = in_torchjd("MGDA", epsilon=1e-6, max_iters=3000)(rows)
    update = mean_update("mgda", rows)
    assert update.norm() <= other.norm() * (1 + 1e-6) + 1e-6
    torch.testing.assert_close(update, other, rtol=0, atol=0.05 * float(rows.norm(dim=1).min()))


@every_matrix
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_fairgrad_is_that_of_torchjd(n_tasks: int, width: int, alpha: float) -> None:
    rows = draw(n_tasks, width, common=0.5, spread=0.3)
    other = in_torchjd("FairGradWeighting", alpha=alpha)(rows @ rows.T)
    weights = weights_of("fairgrad", rows, alpha=alpha)
    torch.testing.assert_close(weights / weights.sum(), other / other.sum(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("n_tasks", "width"), [(2, 3), (5, 20), (5, 3), (30, 60)])
def test_nash_mtl_is_that_of_torchjd(n_tasks: int, width: int) -> None:
    rows = draw(n_tasks, width, common=0.5, spread=0.3)
    options = {"max_norm": 1.0, "update_weights_every": 1, "optim_niter": 200}
    other = in_torchjd("NashMTL", n_tasks=n_tasks, **options)(rows)
    update = mean_update("nash_mtl", rows, max_norm=1.0)
    torch.testing.assert_close(normalize(update, dim=0), normalize(other, dim=0), rtol=0, atol=0.01)


@every_matrix
@pytest.mark.parametrize("c", [0.3, 0.8])
def test_cagrad_is_that_of_torchjd(n_tasks: int, width: int, c: float) -> None:
    rows = draw(n_tasks, width, common=1.0)  # where no direction serves all, its answer is noise
    other = in_torchjd("CAGrad", c=c, norm_eps=0.0)(rows)
    update = (1 + c**2) * mean_update("cagrad", rows, c=c)
    torch.testing.assert_close(update, other, rtol=0, atol=2e-3 * float(other.norm()))


@every_matrix
@pytest.mark.parametrize("name", ["DualProj", "UPGrad"])
def test_dual_cone_projections_are_those_of_torchjd(n_tasks: int, width: int, name: str) -> None:
    linalg = pytest.importorskip("torchjd.linalg")
    rows = draw(n_tasks, width, common=0.3)
    close = 1e-5 if width > n_tasks else 1e-3  # sweeps are slow where gradients depend on each other
    try:
        projector = linalg.QuadprogProjector(norm_eps=0.0, reg_eps=1e-9)
    except ImportError as missing:
        pytest.skip(str(missing))
    other = in_torchjd(name, projector=projector)(rows)
    options = {"tolerance": 1e-9} if name == "UPGrad" else {}
    update = mean_update(name.lower(), rows, **options)
    torch.testing.assert_close(update, other, rtol=0, atol=close * float(rows.norm(dim=1).max()))


def test_pcgrad_is_that_of_torchjd_on_average() -> None:
    rows = draw(4, 3)
    other = in_torchjd("PCGradWeighting")
    balancer = build_balancer("pcgrad", names(4))
    torch.manual_seed(0)
    theirs = torch.stack([other(rows @ rows.T) for _ in range(2000)])
    ours = torch.stack([balancer.weigh(a_step(rows)) for _ in range(2000)]).double()
    error = ((theirs.var(0) + ours.var(0)) / 2000).sqrt()
    assert ((theirs.mean(0) - ours.mean(0)).abs() <= 5 * error + 1e-6).all()


def test_gradvac_is_that_of_torchjd_for_two_tasks() -> None:
    other = in_torchjd("GradVacWeighting", beta=0.3, eps=1e-12)
    balancer = build_balancer({"name": "gradvac", "beta": 0.3}, names(2))
    for seed in range(10):
        rows = draw(2, 4, seed=seed)
        torch.testing.assert_close(
            balancer.weigh(a_step(rows)).double(), other(rows @ rows.T), rtol=1e-5, atol=1e-6
        )


def test_graddrop_is_that_of_torchjd_on_average() -> None:
    rows = draw(4, 30).float()
    other, balancer = in_torchjd("GradDrop"), build_balancer("graddrop", names(4))
    torch.manual_seed(0)
    theirs = torch.stack([other(rows) for _ in range(2000)])
    ours = torch.stack([_direction(balancer, rows) for _ in range(2000)])
    error = ((theirs.var(0) + ours.var(0)) / 2000).sqrt()
    assert ((theirs.mean(0) - ours.mean(0)).abs() <= 5 * error + 1e-6).all()


def test_modo_and_sdmgrad_are_those_of_torchjd_on_the_batch_before() -> None:
    modo, sdmgrad = in_torchjd("MoDoWeighting", 0.1, 0.1), in_torchjd("SDMGradWeighting", lr=0.5)
    ours = build_balancer("modo", names(4)), build_balancer({"name": "sdmgrad", "lr": 0.5}, names(4))
    batches = [draw(4, 6, seed=seed, spread=0.5) for seed in range(6)]
    for balancer in ours:
        balancer.weigh(a_step(batches[0]))
    for before, rows in pairwise(batches):
        for balancer, other in zip(ours, (modo, sdmgrad), strict=True):
            weights = balancer.weigh(a_step(rows)).double() / 4
            torch.testing.assert_close(weights, other(before @ rows.T), rtol=1e-4, atol=1e-5)


def test_excess_mtl_is_that_of_torchjd_after_the_first_step() -> None:
    other = in_torchjd("ExcessMTLWeighting", robust_step_size=0.2, n_warmup_steps=1)
    balancer = build_balancer({"name": "excess_mtl", "eta": 0.2}, names(3))
    for seed in range(6):
        rows = draw(3, 5, seed=seed).float()
        torch.testing.assert_close(balancer.weigh(a_step(rows)) / 3, other(rows), rtol=1e-4, atol=1e-5)


def _direction(balancer: Balancer, rows: Tensor) -> Tensor:
    direction = balancer.decide(a_step(rows)).direction
    assert direction is not None
    return direction


def test_every_method_by_gradients_says_where_it_works() -> None:
    for name in balancers.names():
        kind = balancers.get(name)
        assert kind.needs != "rows" or kind.places is not None, name
