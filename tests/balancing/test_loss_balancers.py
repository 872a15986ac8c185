"""What balancers that read losses alone, their wrappers and wPCGrad promise beyond the general checks."""

import importlib
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from screening.balancing.chain import Chain, build_balancer
from screening.balancing.contract import Balancer, balancers
from screening.balancing.methods.bmtl import Bmtl
from screening.balancing.methods.go4align import group_means
from screening.balancing.methods.pcgrad import project_conflicts
from screening.balancing.methods.wpcgrad import draw_order, give_way, project_sequentially
from screening.balancing.solvers.unit_gradients import unit_gram
from screening.balancing.step import Decision, Step
from screening.balancing.task_adam import TaskAdam
from screening.errors import ConfigError

NAN = float("nan")
T = 4


def names(n_tasks: int) -> list[str]:
    return [f"assay {task}" for task in range(n_tasks)]


def build(name: str, n_tasks: int = T, **options: Any) -> Any:
    return build_balancer({"name": name, **options}, names(n_tasks))


def a_step(
    losses: Tensor | list[float], rows: Tensor | None = None, *, epoch: int = 0, step: int = 0
) -> Step:
    """NaN = absent."""
    losses = torch.as_tensor(losses).double()
    present = ~losses.isnan()
    gram = None if rows is None else rows.double() @ rows.double().T
    counts = torch.where(present, 10.0, 0.0)
    return Step(losses.nan_to_num(), present, counts, gram=gram, rows=rows, epoch=epoch, step=step)


def some_losses(n_steps: int, n_tasks: int = T, seed: int = 0) -> Tensor:
    """[steps, T] falling losses."""
    generator = torch.Generator().manual_seed(seed)
    falling = torch.linspace(1, 0.2, n_steps, dtype=torch.float64)[:, None]
    return falling * (0.2 + torch.rand(n_steps, n_tasks, generator=generator, dtype=torch.float64))


def mean_loss(balancer: Balancer, losses: Tensor) -> None:
    balancer.end_epoch(losses, ~losses.isnan())


LOSS_BASED = [name for name in balancers.names() if balancers.get(name).needs == "losses"]


@pytest.mark.parametrize("name", LOSS_BASED)
def test_loss_based_weights_are_at_least_zero_and_weigh_the_heads_too(name: str) -> None:
    balancer = build(name)
    for losses in some_losses(6):
        decision = balancer.decide(a_step(losses))
        assert (decision.weights >= 0).all()
        if balancer.weighs_heads:
            assert torch.equal(decision.weights, decision.head_weights)


@pytest.mark.parametrize("name", LOSS_BASED)
def test_nothing_learned_reaches_the_optimiser_of_the_model(name: str) -> None:
    balancer = build(name)
    balancer.weigh(a_step(some_losses(1)[0]))
    assert not any(parameter.requires_grad for parameter in balancer.parameters())


# Agreement with TorchJD: its scalarisations are on the scale of a mean where ours are on that of a sum


def torchjd(name: str) -> Any:
    return getattr(pytest.importorskip("torchjd.scalarization"), name)


def slopes(scalariser: Callable[[Tensor], Tensor], losses: Tensor) -> Tensor:
    losses = losses.clone().requires_grad_()
    return torch.autograd.grad(scalariser(losses), losses)[0]


def assert_same(weights: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(weights, expected.float(), rtol=1e-5, atol=1e-6)


def test_gls_is_that_of_torchjd() -> None:
    for losses in some_losses(5):
        assert_same(build("gls").weigh(a_step(losses)), T * slopes(torchjd("GeometricMean")(), losses))


def test_uncertainty_is_that_of_torchjd_under_adam() -> None:
    ours, theirs = build("uncertainty", lr=0.05, start=0.5), torchjd("UW")(T).double()
    optimiser = torch.optim.Adam(theirs.parameters(), lr=0.05)
    for losses in some_losses(30):
        assert_same(ours.weigh(a_step(losses)), slopes(theirs, losses))
        optimiser.zero_grad()
        theirs(losses).backward()
        optimiser.step()


def test_imtl_l_is_that_of_torchjd_under_adam() -> None:
    ours, theirs = build("imtl_l", lr=0.05), torchjd("IMTLL")(T).double()
    optimiser = torch.optim.Adam(theirs.parameters(), lr=0.05)
    for losses in some_losses(30):
        assert_same(ours.weigh(a_step(losses)), slopes(theirs, losses))
        optimiser.zero_grad()
        theirs(losses).backward()
        optimiser.step()


def test_dwa_is_that_of_torchjd() -> None:
    ours, theirs = build("dwa", temperature=0.7), torchjd("DWA")(0.7)
    for epoch in some_losses(15).split(3):
        for losses in epoch:
            expected = slopes(theirs, losses)
            assert_same(ours.weigh(a_step(losses)), expected)
        theirs.step()
        mean_loss(ours, epoch.mean(0))
    assert expected.std() > 0.01


def test_famo_is_that_of_torchjd() -> None:
    ours, theirs = build("famo", gamma=0.01), torchjd("FAMO")(T, weight_decay=0.01).double()
    for before, after in zip(some_losses(30), some_losses(30, seed=1), strict=True):
        expected = T * slopes(theirs, before)
        assert_same(ours.weigh(a_step(before)), expected)
        theirs.update(after)
        ours.look_again(a_step(after))
    assert ours.logits.std() > 0.05


def test_rlw_is_that_of_torchjd_with_the_same_noise() -> None:
    losses = some_losses(1)[0]
    torch.manual_seed(int(np.random.SeedSequence((7, 0)).generate_state(1)[0]))
    assert_same(build("rlw", seed=7).weigh(a_step(losses)), T * slopes(torchjd("Random")(), losses))


def test_bmtl_is_smooth_tchebycheff_of_torchjd_with_equal_preferences() -> None:
    losses = some_losses(1)[0]
    theirs = torchjd("STCH")(0.3, weights=torch.ones(T))
    assert_same(build("bmtl", temperature=0.3).weigh(a_step(losses)), T * slopes(theirs, losses))


def test_stch_is_that_of_torchjd_on_losses_relative_to_their_nadir() -> None:
    ours, theirs = build("stch", mu=0.5, warmup=2), torchjd("STCH")(0.5, weights=torch.ones(T))
    epochs = some_losses(4)
    for losses in epochs[:2]:
        assert_same(ours.weigh(a_step(losses)), 1 / losses)
        mean_loss(ours, losses)
    for losses in epochs[2:]:
        expected = T * slopes(lambda now: theirs((now / epochs[1]).log()), losses)
        assert_same(ours.weigh(a_step(losses)), expected)
        mean_loss(ours, losses)


PREFERENCES = {"assay 0": 2.0, "assay 2": 0.5}


def test_cosmos_is_that_of_torchjd() -> None:
    shares = torch.tensor([2, 1, 0.5, 1], dtype=torch.float64) / 4.5
    theirs = torchjd("COSMOS")(0.4, weights=shares)
    ours = build("cosmos", pull=0.4, preferences=PREFERENCES, negative=True)
    for losses in some_losses(5):
        assert_same(ours.weigh(a_step(losses)), T * slopes(theirs, losses))


def test_pbi_is_that_of_torchjd() -> None:
    shares = torch.tensor([2, 1, 0.5, 1], dtype=torch.float64)
    theirs = torchjd("PBI")(2.0, weights=shares, reference=torch.full((T,), 0.1, dtype=torch.float64))
    ours = build("pbi", theta=2.0, ideal=0.1, preferences=PREFERENCES, negative=True)
    cut = build("pbi", theta=2.0, ideal=0.1, preferences=PREFERENCES)
    for losses in some_losses(5):
        expected = T * shares.norm() / shares.sum() * slopes(theirs, losses)
        assert_same(ours.weigh(a_step(losses)), expected)
        assert_same(cut.weigh(a_step(losses)), expected.clamp(min=0))
    assert (expected < 0).any()


@pytest.mark.parametrize(("name", "off"), [("cosmos", {"pull": 0.0}), ("pbi", {"theta": 0.0})])
def test_without_a_penalty_the_preferences_are_the_weights(name: str, off: dict[str, float]) -> None:
    weights = build(name, preferences=PREFERENCES, **off).weigh(a_step([0.5, NAN, 0.7, 2.0]))
    torch.testing.assert_close(weights, torch.tensor([2, 0, 0.5, 1]) * 3 / 3.5)


@pytest.mark.parametrize(("name", "options"), [("cosmos", {"pull": 2.0}), ("pbi", {"theta": 2.0})])
def test_losses_as_preferred_have_the_preferences_as_weights(name: str, options: dict[str, float]) -> None:
    """Others are brought there, where each loss falls by its weight."""
    balancer, losses = build(name, preferences=PREFERENCES, **options), torch.tensor([2, 1, 0.5, 1])
    torch.testing.assert_close(balancer.weigh(a_step(losses)), losses * T / losses.sum())
    start = torch.tensor([0.4, 1.0, 0.9, 0.6])
    now = start.clone()
    for _ in range(400):
        now = now - 0.0005 * balancer.weigh(a_step(now))
    cosines = [torch.nn.functional.cosine_similarity(each, losses, dim=0) for each in (start, now)]
    assert cosines[1] > cosines[0] + 0.02


def test_pbi_with_equal_preferences_weighs_by_the_standardised_losses() -> None:
    losses = some_losses(1)[0]
    standardised = (losses - losses.mean()) / losses.std(correction=0)
    assert_same(build("pbi", theta=0.4).weigh(a_step(losses)), 1 + 0.4 * standardised)


# AutoScale


def test_autoscale_fixes_the_weights_after_the_first_phase() -> None:
    balancer, generator = build("autoscale", 3, explore=50), torch.Generator().manual_seed(0)
    lengths = torch.tensor([[1.0], [2.0], [10.0]])
    for number in range(60):
        rows = lengths * (0.5 + torch.rand(3, 4, generator=generator)) * (1 if number < 50 else number)
        weights = balancer.weigh(a_step([1.0] * 3, rows, step=number))
        if number < 50:
            assert weights.tolist() == [1, 1, 1]
    torch.testing.assert_close(weights, 3 / lengths[:, 0] / 1.6, rtol=0.1, atol=0)
    assert torch.equal(weights, balancer.weigh(a_step([1.0] * 3, lengths)))


def test_autoscale_makes_the_gradients_of_its_first_phase_as_alike_as_fixed_weights_can() -> None:
    """The mean similarity 2ab / (a^2 + b^2) of all pairs, over the weights, is at its top."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([1.0, 2.0, 10.0]) * (0.2 * torch.randn(200, 3, generator=generator)).exp()
    balancer = build("autoscale", 3, explore=200)
    for number, each in enumerate(torch.cat([lengths, lengths[:1]])):
        weights = balancer.weigh(a_step([1.0] * 3, torch.diag(each), step=number))

    def similarity(weights: Tensor) -> float:
        scaled = lengths * weights
        products = 2 * scaled[:, :, None] * scaled[:, None]
        return float((products / (scaled[:, :, None] ** 2 + scaled[:, None] ** 2)).mean())

    for task, factor in itertools.product(range(3), (0.8, 1.25)):
        other = weights.clone()
        other[task] *= factor
        assert similarity(other) < similarity(weights)
    assert similarity(weights) > 0.9 > similarity(torch.ones(3))


def test_cr_mogm_is_that_of_torchjd() -> None:
    aggregation = pytest.importorskip("torchjd.aggregation")
    theirs = aggregation.CRMOGMWeighting(aggregation.ConstantWeighting(torch.ones(T)), alpha=0.6)
    ours = build("cr_mogm", of={"name": "bmtl", "temperature": 0.2}, alpha=0.6)
    inner = build("bmtl", temperature=0.2)
    for losses in some_losses(5):
        theirs.weighting.weights = inner.weigh(a_step(losses))
        assert_same(ours.weigh(a_step(losses)), theirs(torch.zeros(T, 3)))


# Adam for present tasks


def test_task_adam_is_adam_if_all_are_present() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.zeros(T), torch.zeros(T, requires_grad=True)
    adam = TaskAdam(T, lr=0.1, weight_decay=0.2)
    reference = torch.optim.Adam([theirs], lr=0.1, weight_decay=0.2)
    for _ in range(20):
        gradient = torch.randn(T, generator=generator)
        adam.update(ours, gradient, torch.arange(T))
        theirs.grad = gradient
        reference.step()
        torch.testing.assert_close(ours, theirs.detach())


def test_task_adam_gives_each_task_the_adam_of_its_own_steps() -> None:
    together, alone = torch.zeros(2), torch.zeros(1)
    adam, single = TaskAdam(2, lr=0.1), TaskAdam(1, lr=0.1)
    for number in range(20):
        gradient = torch.tensor([math.sin(number), 1.0])
        if number % 3:
            adam.update(together, gradient[1:], torch.tensor([1]))
        else:
            adam.update(together, gradient, torch.tensor([0, 1]))
            single.update(alone, gradient[:1], torch.tensor([0]))
    torch.testing.assert_close(together[:1], alone)


# Uncertainty, IMTL-L, logarithms


def test_uncertainty_is_half_of_imtl_l_with_the_sign_turned() -> None:
    uncertainty, imtl_l = build("uncertainty", start=0.5), build("imtl_l")
    for losses in some_losses(20):
        assert_same(2 * uncertainty.weigh(a_step(losses)), imtl_l.weigh(a_step(losses)))
    torch.testing.assert_close(uncertainty.log_variance, -imtl_l.log_scale)


def test_learned_scales_settle_at_the_inverse_loss() -> None:
    losses = torch.tensor([0.05, 0.7, 3.0, 20.0])
    for name, factor in (("imtl_l", 1), ("uncertainty", 2)):
        balancer = build(name, lr=0.05)
        for _ in range(2000):
            weights = balancer.weigh(a_step(losses))
        torch.testing.assert_close(factor * weights * losses, torch.ones(T), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["uncertainty", "imtl_l"])
def test_a_loss_of_zero_does_not_drive_the_weight_to_infinity(name: str) -> None:
    balancer = build(name, lr=100.0)
    for _ in range(50):
        weights = balancer.weigh(a_step([0.0, 1.0, 1e8, NAN]))
    assert weights.isfinite().all()
    assert weights.max() <= math.exp(20)


def test_gls_survives_a_thousand_small_losses() -> None:
    weights = build("gls", 1000).weigh(a_step(torch.full((1000,), 1e-3)))
    torch.testing.assert_close(weights, torch.ones(1000), rtol=1e-4, atol=0)


def test_gls_has_the_direction_of_log_loss() -> None:
    losses = some_losses(1)[0]
    ratio = build("gls").weigh(a_step(losses)) / build("log_loss").weigh(a_step(losses))
    torch.testing.assert_close(ratio, ratio.mean().expand(T))
    torch.testing.assert_close(float(ratio.mean()), float(losses.log().mean().exp()), rtol=1e-4, atol=0)


# BMTL


def test_bmtl_ratio_is_the_exponential_of_the_difference_of_losses() -> None:
    losses = some_losses(1)[0]
    for form in ("softmax", "raw"):
        weights = build("bmtl", temperature=0.25, form=form).weigh(a_step(losses)).double()
        torch.testing.assert_close(
            weights[:, None] / weights, ((losses[:, None] - losses) / 0.25).exp(), rtol=1e-5, atol=0
        )


def test_bmtl_raw_is_the_derivative_of_the_sum_of_exponentials() -> None:
    losses = some_losses(1)[0]
    weights = build("bmtl", temperature=0.5, form="raw").weigh(a_step(losses))
    assert_same(weights, slopes(lambda values: (values / 0.5).exp().sum(), losses))


def test_bmtl_limits_of_the_temperature() -> None:
    losses = [0.5, 1.0, 0.7, NAN]
    assert_same(build("bmtl", temperature=1e6).weigh(a_step(losses)), torch.tensor([1.0, 1, 1, 0]))
    assert_same(build("bmtl", temperature=1e-3).weigh(a_step(losses)), torch.tensor([0.0, 3, 0, 0]))


def test_bmtl_ignores_a_constant_added_to_all() -> None:
    losses = some_losses(1)[0]
    assert_same(build("bmtl").weigh(a_step(losses + 3)), build("bmtl").weigh(a_step(losses)))


@pytest.mark.parametrize("form", ["softmax", "raw"])
def test_bmtl_does_not_overflow(form: str) -> None:
    weights = build("bmtl", 2, temperature=1.0, form=form).weigh(a_step([1000.0, 999.0]))
    assert weights.isfinite().all()
    torch.testing.assert_close(float(weights[0] / weights[1]), math.e, rtol=1e-5, atol=0)


CONVEX: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": lambda z: (z / 0.5).exp(),
    "square": lambda z: z**2,
    "power": lambda z: z**1.5,
    "barrier": lambda z: -torch.log(1 - z / 6),
}
NOT_CONVEX: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda z: 3 * z,
    "log": torch.log,
    "root": torch.sqrt,
    "falling": lambda z: (-z).exp(),
    "turning": lambda z: (z - 1) ** 2,
    "barrier too near": lambda z: -torch.log(1 - z / 4),
}
NOT_ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda z: z.softmax(0).exp(),
    "sum": lambda z: (z.sum() / 100).exp(),
    "normalised": lambda z: (z / z.mean()) ** 2,
}


@pytest.mark.parametrize("h", CONVEX.values(), ids=CONVEX.keys())
def test_bmtl_takes_a_convex_function_and_weighs_by_its_slope(h: Callable[[Tensor], Tensor]) -> None:
    losses = some_losses(1)[0]
    assert_same(Bmtl(names(T), h, form="raw").weigh(a_step(losses)), slopes(lambda z: h(z).sum(), losses))
    assert float(Bmtl(names(T), h).weigh(a_step(losses)).sum()) == pytest.approx(T)
    assert Bmtl(names(T), h).weigh(a_step([1e3, 1.0, 5.0, NAN])).isfinite().all()
    assert_same(Bmtl(names(T), h).weigh(a_step([0.0] * T)), torch.ones(T))


@pytest.mark.parametrize("h", NOT_CONVEX.values(), ids=NOT_CONVEX.keys())
def test_bmtl_refuses_a_function_that_does_not_favour_hard_tasks(h: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"h''? is .* at a loss of"):
        Bmtl(names(T), h)


@pytest.mark.parametrize("h", NOT_ELEMENTWISE.values(), ids=NOT_ELEMENTWISE.keys())
def test_bmtl_refuses_a_function_of_all_losses_together(h: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match="h is not elementwise"):
        Bmtl(names(T), h)


@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.5])
def test_training_goes_on_where_the_raw_form_would_overflow(temperature: float) -> None:
    """Weights are squared by clipping and by Adam: in float32 they must have finite squares."""
    weights = build("bmtl", 3, temperature=temperature, form="raw").weigh(a_step([0.69, 5.0, 30.0]))
    assert weights.float().square().isfinite().all()
    assert weights.float().square().sum() > 0


# Methods that look back


def test_lbtw_begins_anew_with_every_epoch() -> None:
    balancer = build("lbtw", 2, alpha=1.0)
    balancer.weigh(a_step([1.0, NAN], epoch=0))
    assert_same(balancer.weigh(a_step([0.5, 3.0], epoch=0)), torch.tensor([2 / 3, 4 / 3]))
    assert balancer.weigh(a_step([0.25, 3.0], epoch=1)).tolist() == [1, 1]
    assert_same(balancer.weigh(a_step([0.25, 1.0], epoch=1)), torch.tensor([1.5, 0.5]))


def test_dwa_waits_for_two_epochs_of_each_task() -> None:
    balancer = build("dwa", 2, temperature=1.0)
    mean_loss(balancer, torch.tensor([1.0, NAN]))
    mean_loss(balancer, torch.tensor([0.5, 2.0]))
    expected = 2 * torch.tensor([0.5, 1.0]).softmax(0)
    assert_same(balancer.weigh(a_step([1.0, 1.0])), expected)
    mean_loss(balancer, torch.tensor([NAN, 6.0]))
    assert_same(balancer.weigh(a_step([1.0, 1.0])), 2 * torch.tensor([0.5, 3.0]).softmax(0))


def test_mldw_gives_no_weight_to_a_loss_that_rises() -> None:
    balancer = build("mldw", 3)
    balancer.weigh(a_step([1.0, 1.0, 1.0]))
    weights = balancer.weigh(a_step([0.5, 0.2, 2.0]))
    assert weights[1] > weights[0] > weights[2] == 0
    assert balancer.weigh(a_step([5.0, 5.0, 5.0])).tolist() == [1, 1, 1]


def test_cov_is_the_plain_loop_over_the_whole_past() -> None:
    history = some_losses(12, 3).numpy()
    balancer = build("cov", 3)
    for number, losses in enumerate(history):
        weights = balancer.weigh(a_step(torch.tensor(losses)))
        if number < 2:
            assert weights.tolist() == [1, 1, 1]
            continue
        past = history[:number]
        ratios = np.ones_like(past)
        for step in range(1, number):
            ratios[step] = past[step] / past[:step].mean(0)
        spread = np.sqrt(ratios.var(0) + 1e-8) / ratios.mean(0)
        assert_same(weights, torch.tensor(3 * spread / spread.sum()))


@pytest.mark.parametrize("name", ["cov", "dwa", "lbtw", "mldw", "gls", "log_loss", "stch"])
def test_scale_of_a_task_does_not_matter(name: str) -> None:
    factors = torch.tensor([1.0, 100.0, 0.1, 7.0], dtype=torch.float64)
    plain, scaled = build(name), build(name)
    for number, losses in enumerate(some_losses(8)):
        weights, other = plain.weigh(a_step(losses)), scaled.weigh(a_step(factors * losses))
        if number % 2:
            mean_loss(plain, losses)
            mean_loss(scaled, factors * losses)
    pulls, other_pulls = weights * losses, other * losses
    if name in ("gls", "log_loss", "stch"):
        other_pulls = other_pulls * factors  # their weights take the factor back
    torch.testing.assert_close(other_pulls / other_pulls.sum(), pulls / pulls.sum(), rtol=1e-4, atol=1e-6)


def test_uw_so_favours_easy_and_bmtl_hard_tasks() -> None:
    losses = a_step([0.1, 0.2, 0.4, 0.8])
    assert build("uw_so").weigh(losses).diff().lt(0).all()
    assert build("bmtl").weigh(losses).diff().gt(0).all()


@pytest.mark.parametrize("name", ["rlw", "nlw"])
def test_random_weights_are_one_on_average(name: str) -> None:
    balancer = build(name)
    weights = torch.stack([balancer.weigh(a_step(torch.ones(T))) for _ in range(2000)])
    assert weights.std() > 0.1
    assert ((weights.mean(0) - 1).abs() < 5 * weights.std(0) / 2000**0.5).all()


def test_random_walk_goes_further_than_noise() -> None:
    walk, noise = build("rwlw", sigma=0.02), build("nlw", sigma=0.02)
    for _ in range(100):
        far, near = walk.weigh(a_step(torch.ones(T))), noise.weigh(a_step(torch.ones(T)))
    assert far.std() > 2 * near.std()


# FAMO


def test_famo_takes_weight_from_the_task_that_fell_most() -> None:
    balancer = build("famo")
    for _ in range(20):
        balancer.weigh(a_step([1.0, 1.0, NAN, 1.0]))
        balancer.look_again(a_step([0.5, 0.9, NAN, 1.0]))
    weights = balancer.weigh(a_step([1.0, 1.0, NAN, 1.0]))
    assert weights[0] < weights[1] < weights[3]
    assert balancer.logits[2] == 0


def test_famo_learns_only_from_tasks_of_both_looks() -> None:
    balancer = build("famo", 3)
    balancer.weigh(a_step([1.0, NAN, 1.0]))
    balancer.look_again(a_step([0.5, 0.5, NAN]))
    assert balancer.adam.updates.tolist() == [1, 0, 0]


# GO4Align


def best_split(values: np.ndarray, n_groups: int) -> float:
    """Least sum of squares over all ways to cut the sorted values into intervals."""
    values = np.sort(values)
    cuts = itertools.combinations(range(1, len(values)), n_groups - 1)
    return min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(values, list(places))) for places in cuts
    )


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4, 9])
def test_groups_are_the_best_of_all(n_groups: int) -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).lognormal(size=9)
        means = group_means(torch.tensor(values), n_groups).numpy()
        assert ((values - means) ** 2).sum() == pytest.approx(best_split(values, n_groups), abs=1e-12)
        assert len(np.unique(means.round(9))) == n_groups


def test_group_means_agree_with_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    values = np.random.default_rng(0).normal(size=200)
    fitted = cluster.KMeans(4, n_init=30, random_state=0).fit(values[:, None])
    means = group_means(torch.tensor(values), 4).numpy()
    assert ((values - means) ** 2).sum() <= fitted.inertia_ * (1 + 1e-9)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_hundreds_of_values_are_grouped_as_by_all_splits(n_groups: int) -> None:
    values = np.random.default_rng(1).lognormal(sigma=2, size=100)
    values[40:60] = values[40]  # ties
    means = group_means(torch.tensor(values), n_groups).numpy()
    assert ((values - means) ** 2).sum() == pytest.approx(best_split(values, n_groups), rel=1e-9)
    same = torch.full((70,), 3.0, dtype=torch.float64)
    torch.testing.assert_close(group_means(same, n_groups), same)


def test_go4align_with_a_group_for_each_task_keeps_the_total_loss() -> None:
    balancer = build("go4align", groups=T)
    for losses in some_losses(5):
        weights = balancer.weigh(a_step(losses)).double()
        torch.testing.assert_close((weights * losses).sum(), losses.sum(), rtol=1e-5, atol=0)


# CR-MOGM


class Directed(Balancer):
    def decide_present(self, step: Step) -> Decision:
        weights = torch.ones_like(step.losses)
        return Decision(weights, weights, torch.ones(3))


def test_cr_mogm_takes_over_what_the_other_needs() -> None:
    balancer = build("cr_mogm", of="pcgrad")
    assert (balancer.needs, balancer.weighs_heads, balancer.second_look) == ("gram", False, False)
    assert build("cr_mogm", of="famo").second_look
    chained = build("cr_mogm", of=["slaw", "pcgrad"])
    assert isinstance(chained.of, Chain)
    decision = chained.decide(a_step(some_losses(1)[0], torch.eye(T)))
    assert decision.weights.tolist() == decision.head_weights.tolist() == [1] * T


def test_cr_mogm_shows_famo_the_second_look_and_slaw_nothing() -> None:
    balancer = build("cr_mogm", of="famo")
    balancer.weigh(a_step([1.0, 1.0, 1.0, 1.0]))
    balancer.look_again(a_step([0.5, 1.0, 1.0, 1.0]))
    assert balancer.of.logits[0] < 0


def test_cr_mogm_leaves_heads_their_own_gradient_under_pcgrad() -> None:
    rows = torch.randn(T, 3, generator=torch.Generator().manual_seed(0))
    balancer = build("cr_mogm", of="pcgrad")
    for losses in some_losses(3):
        assert balancer.decide(a_step(losses, rows)).head_weights.tolist() == [1] * T


def test_cr_mogm_refuses_a_balancer_without_weights() -> None:
    balancer = build("cr_mogm", of="equal")
    balancer.of = Directed(names(T))
    with pytest.raises(ConfigError, match="direction"):
        balancer.weigh(a_step(some_losses(1)[0]))
    with pytest.raises(ConfigError, match="Did you mean 'pcgrad'"):
        build("cr_mogm", of="pcgard")


# wPCGrad

EXAMPLE = torch.tensor([[1.0, 0.0], [-0.6, 0.5]], dtype=torch.float64)


def everybody(n_tasks: int) -> Tensor:
    return torch.ones(n_tasks, n_tasks, dtype=torch.bool).fill_diagonal_(False)


def random_rows(n_tasks: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_tasks, width, generator=generator, dtype=torch.float64)


def explicit(rows: Tensor, gives_way: Tensor, order: list[int]) -> Tensor:
    """The projected gradients, one gradient after the other."""
    projected = rows.clone()
    for i in range(len(rows)):
        for j in order:
            product = projected[i] @ rows[j]
            if gives_way[i, j] and product < 0:
                projected[i] -= product / (rows[j] @ rows[j]) * rows[j]
    return projected


@pytest.mark.parametrize(("n_tasks", "width"), [(2, 2), (7, 3), (40, 7), (90, 200)])
def test_give_way_is_the_loop_over_explicit_gradients(n_tasks: int, width: int) -> None:
    rows = random_rows(n_tasks, width)
    generator = torch.Generator().manual_seed(1)
    gives_way = (torch.rand(n_tasks, n_tasks, generator=generator) < 0.6) & everybody(n_tasks)
    order = torch.randperm(n_tasks, generator=generator)
    projected = give_way(rows @ rows.T, gives_way, order) @ rows
    torch.testing.assert_close(projected, explicit(rows, gives_way, order.tolist()), rtol=1e-6, atol=1e-9)


def test_where_everybody_gives_way_it_is_pcgrad() -> None:
    rows = random_rows(50, 9)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    others = torch.stack([order[order != task] for task in range(50)])
    torch.testing.assert_close(
        give_way(rows @ rows.T, everybody(50), order), project_conflicts(rows @ rows.T, others)
    )


def test_example_of_pcgrad() -> None:
    update = give_way(EXAMPLE @ EXAMPLE.T, everybody(2), torch.tensor([0, 1])).sum(0) @ EXAMPLE
    torch.testing.assert_close(update, torch.tensor([0.4098, 0.9918]).double(), rtol=0, atol=1e-4)


def test_expectation_with_two_tasks_is_the_sum_over_both_anchors() -> None:
    shares = torch.tensor([0.3, 0.7], dtype=torch.float64)
    gram = EXAMPLE @ EXAMPLE.T
    updates = torch.stack(
        [give_way(gram, everybody(2), torch.tensor([anchor])).sum(0) @ EXAMPLE for anchor in (0, 1)]
    )
    formula = EXAMPLE.sum(0) - ((shares * gram[0, 1] / gram.diagonal())[:, None] * EXAMPLE).sum(0)
    torch.testing.assert_close(shares @ updates, formula)
    torch.testing.assert_close(formula, torch.tensor([0.1669, 0.8443]).double(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("reading", ["anchor", "pairwise", "priority_order", "sequential"])
def test_two_tasks_have_that_expectation_in_every_reading(reading: str) -> None:
    balancer = build("wpcgrad", 2, reading=reading, priorities={"assay 0": 3.0, "assay 1": 7.0})
    step = a_step([1.0, 1.0], EXAMPLE)
    weights = torch.stack([balancer.weigh(step) for _ in range(3000)]).double()
    updates = weights @ EXAMPLE
    error = updates.std(0) / 3000**0.5
    assert ((updates.mean(0) - torch.tensor([0.1669, 0.8443])).abs() < 5 * error + 1e-4).all()
    assert (updates.mean(0) - torch.tensor([0.4098, 0.9918])).abs().max() > 0.1  # PCGrad


@pytest.mark.parametrize("reading", ["anchor", "pairwise", "priority_order", "sequential"])
def test_without_conflict_the_update_is_the_plain_sum(reading: str) -> None:
    rows = random_rows(T, 6).abs()
    balancer = build("wpcgrad", reading=reading, priorities={"assay 2": 5.0})
    for _ in range(5):
        assert balancer.weigh(a_step(torch.ones(T), rows)).tolist() == [1] * T


@pytest.mark.parametrize("reading", ["anchor", "priority_order", "sequential"])
def test_fully_protected_task_is_not_opposed(reading: str) -> None:
    only = {name: float(name == "assay 5") for name in names(12)}
    for seed in range(20):
        rows = random_rows(12, 4, seed)
        balancer = build("wpcgrad", 12, reading=reading, priorities=only, seed=seed)
        update = balancer.weigh(a_step(torch.ones(12), rows)).double() @ rows
        assert update @ rows[5] >= (rows[5] @ rows[5]) * (1 - 1e-5)


def test_first_of_the_order_is_drawn_by_its_share_and_never_altered() -> None:
    balancer = build("wpcgrad", 3, priorities={"assay 0": 1.0, "assay 1": 2.0, "assay 2": 5.0})
    shares = balancer.protection(a_step(torch.ones(3)).take(torch.arange(3)))
    torch.testing.assert_close(shares, torch.tensor([0.125, 0.25, 0.625]).double())
    first = torch.zeros(3)
    for _ in range(2000):
        first[draw_order(shares, balancer.generator(torch.device("cpu")))[-1]] += 1
    assert ((first / 2000 - shares).abs() < 5 * (shares * (1 - shares) / 2000).sqrt()).all()


@pytest.mark.parametrize("n_tasks", [1, 6, 150])
def test_each_gives_way_to_those_drawn_before_it(n_tasks: int) -> None:
    torch.manual_seed(0)
    rows = torch.randn(n_tasks, n_tasks + 4)
    gram = (rows @ rows.T).double()
    step = replace(a_step(torch.ones(n_tasks)), gram=gram)
    balancer = build("wpcgrad", n_tasks)
    weights = balancer.weigh(step)
    generator = build("wpcgrad", n_tasks).generator(gram.device)
    order = draw_order(torch.full((n_tasks,), 1 / n_tasks).double(), generator)
    places = order.argsort()
    coefficients = give_way(gram, places[:, None] < places, order)
    torch.testing.assert_close(weights, coefficients.sum(0).float(), rtol=1e-3, atol=1e-4)
    altered = (coefficients != torch.eye(n_tasks)).any(1)
    assert not altered[order[-1]]
    assert altered.any() or n_tasks == 1


@pytest.mark.parametrize(("n_tasks", "width"), [(1, 3), (6, 3), (12, 5), (40, 60)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_sequential_projection_is_the_loop_over_explicit_gradients(
    n_tasks: int, width: int, scale: float
) -> None:
    rows = scale * torch.randn(n_tasks, width, generator=torch.Generator().manual_seed(1)).double()
    current = rows.clone()
    for place in range(n_tasks):
        for other in range(n_tasks):
            product = current[other] @ current[place]
            if other != place and product < 0:
                current[other] -= product / (current[place] @ current[place]) * current[place]
    weights = project_sequentially(unit_gram(rows @ rows.T))
    torch.testing.assert_close(weights @ rows, current.sum(0), rtol=1e-6, atol=1e-7 * scale)
    torch.testing.assert_close(current[0], rows[0])
    assert (current @ current.T >= -1e-9 * scale**2).all()


def test_a_gradient_that_was_projected_away_takes_part_no_more() -> None:
    rows = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0], [-1.0, 1.0]]).double()
    weights = project_sequentially(unit_gram(rows @ rows.T))
    torch.testing.assert_close(weights @ rows, torch.tensor([1.0, 1.0]).double())
    assert weights.isfinite().all()


def test_pairs_have_one_side_that_gives_way() -> None:
    balancer = build("wpcgrad", 6, reading="pairwise")
    gives_way, order = balancer._draw(torch.rand(6).double(), balancer.generator(torch.device("cpu")))
    assert torch.equal(gives_way ^ gives_way.T, everybody(6))
    assert sorted(order.tolist()) == list(range(6))


def protection(balancer: Any, losses: list[float]) -> list[float]:
    step = a_step(losses)
    return balancer.protection(step.take(step.present.nonzero().squeeze(1))).tolist()


def test_protection_follows_the_losses_of_the_last_epoch() -> None:
    balancer = build("wpcgrad", 3, priority="losses", gamma=2.0)
    assert protection(balancer, [9.0, 1.0, 1.0]) == pytest.approx([1 / 3] * 3)
    mean_loss(balancer, torch.tensor([1.0, 3.0, NAN]))
    assert protection(balancer, [9.0, 1.0, 1.0]) == pytest.approx([1 / 14, 9 / 14, 4 / 14])
    assert protection(balancer, [9.0, 1.0, NAN]) == pytest.approx([0.1, 0.9])
    mean_loss(balancer, torch.tensor([0.0, 0.0, NAN]))
    assert protection(balancer, [9.0, 1.0, 1.0]) == pytest.approx([1 / 3] * 3)


def test_protection_follows_any_balancer_that_reads_losses() -> None:
    balancer, slaw = build("wpcgrad", priority="slaw"), build("slaw")
    rows = random_rows(T, 3)
    for losses in some_losses(5):
        expected = slaw.weigh(a_step(losses)) / T
        balancer.weigh(a_step(losses, rows))
    assert_same(balancer.guide.weigh(a_step(losses)), slaw.weigh(a_step(losses)))
    assert expected.std() > 0.01
    with pytest.raises(ConfigError, match="needs gradients"):
        build("wpcgrad", priority=["slaw", "pcgrad"])
    assert build("wpcgrad", priority="famo").second_look


def test_priorities_multiply_and_the_floor_reaches_everybody() -> None:
    balancer = build("wpcgrad", 2, priority={"name": "bmtl", "temperature": 1.0}, priorities={"assay 0": 3.0})
    assert protection(balancer, [math.log(2), 0.0]) == pytest.approx([6 / 7, 1 / 7])
    balancer = build("wpcgrad", 2, priorities={"assay 0": 0.0}, floor=0.5)
    assert protection(balancer, [1.0, 1.0]) == pytest.approx([0.25, 0.75])
    nobody = build("wpcgrad", 2, priorities={"assay 0": 0.0, "assay 1": 0.0})
    assert protection(nobody, [1.0, 1.0]) == pytest.approx([0.5, 0.5])


def test_unknown_assay_in_priorities_is_suggested() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'NR-AhR'"):
        build_balancer({"name": "wpcgrad", "priorities": {"NR-AHR": 3}}, ["NR-AhR", "SR-p53"])


@pytest.mark.parametrize("name", LOSS_BASED)
def test_every_loss_based_balancer_can_guide_wpcgrad_and_be_smoothed(name: str) -> None:
    rows = random_rows(T, 3)
    for wrapper in ({"name": "wpcgrad", "priority": name}, {"name": "cr_mogm", "of": name}):
        balancer = build_balancer(wrapper, names(T))
        for losses in some_losses(4):
            assert balancer.weigh(a_step(losses, rows)).isfinite().all()
            if balancer.second_look:
                balancer.look_again(a_step(0.9 * losses, rows))
            mean_loss(balancer, losses)


def test_private_files_register_nothing() -> None:
    module = importlib.import_module("screening.balancing.task_adam")
    assert not any(balancers.get(name).__module__ == module.__name__ for name in balancers.names())
