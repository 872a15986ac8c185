"""Losses of real values: against numeric integration, SciPy and PyTorch; censored values; learned spreads."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor
from torch.nn import functional

from screening.balancing.chain import build_balancer
from screening.balancing.gradients import Gradients
from screening.errors import ConfigError, DataError
from screening.models.heads import TaskHeads
from screening.models.losses import losses
from screening.models.losses.normal_intervals import best_constants, inverse_mills, log_chance
from screening.models.losses.real_values import measured_cells
from screening.testing.losses import example_bounds, example_values

INF, NAN = float("inf"), float("nan")
NAMES = ("squared", "huber", "gaussian", "censored_gaussian")


def with_spread(name: str, spread: float, smallest: float = 0.1) -> torch.nn.Module:
    """The loss of one task, with this standard deviation of the noise."""
    loss = losses.build(name, torch.tensor([[-1.0], [1.0]]), smallest_spread=smallest).double()
    with torch.no_grad():
        loss.spreads.log_spread.fill_(math.log(spread**2 - smallest**2) / 2)
    return loss


def cell(low: float, high: float) -> Tensor:
    return torch.tensor([[[low, high]]], dtype=torch.float64)


@pytest.mark.parametrize("predicted", [-2.0, 0.0, 0.3, 4.0])
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("low", "high"), [(0.5, INF), (-INF, -0.7), (-1.0, 0.5), (0.2, 0.21)])
def test_censored_likelihood_is_the_integral_of_the_density(
    predicted: float, spread: float, low: float, high: float
) -> None:
    near = low if low > -INF else min(high, predicted) - 12 * spread
    far = high if high < INF else max(low, predicted) + 12 * spread
    density = stats.norm(predicted, spread).pdf
    area, _ = integrate.quad(density, near, far, points=[min(max(predicted, near), far)], epsabs=0)
    logits = torch.full((1, 1), predicted, dtype=torch.float64)
    value = with_spread("censored_gaussian", spread).values(logits, cell(low, high))
    assert value.item() == pytest.approx(-math.log(area), rel=1e-6)


def test_an_exact_value_costs_as_an_interval_of_its_stated_width() -> None:
    """sqrt(2 pi) * smallest_spread wide: the same to first order, of which a tenth of the spread is left."""
    loss = with_spread("censored_gaussian", 1.0, smallest=0.01)
    half = math.sqrt(2 * math.pi) * 0.01 / 2
    exact = loss.values(torch.tensor([[0.4]]), cell(1.0, 1.0))
    interval = loss.values(torch.tensor([[0.4]]), cell(1.0 - half, 1.0 + half))
    assert exact.item() == pytest.approx(interval.item(), abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "chance"),
    [(0.0, INF, 0.5), (1.6448536, INF, 0.05), (-INF, 1.2815516, 0.9), (-1.9599640, 1.9599640, 0.95)],
)
def test_quantiles_of_the_normal_distribution(low: float, high: float, chance: float) -> None:
    """The tables at the end of every textbook: 5 % lie above 1.645, 95 % within 1.96."""
    value = with_spread("censored_gaussian", 1.0).values(torch.zeros(1, 1), cell(low, high))
    assert value.item() == pytest.approx(-math.log(chance), rel=1e-6)


def test_a_table_of_tobit_by_hand() -> None:
    """Prediction 1, spread 2: measured 2, above 3, below -1: likelihoods phi(1/2) / 2, Phi(-1), Phi(-1)."""
    labels = torch.cat([cell(2, 2), cell(3, INF), cell(-INF, -1)]).float()
    loss = with_spread("censored_gaussian", 2.0)
    values = loss.values(torch.ones(3, 1), labels).flatten().tolist()
    exact = -math.log(0.3520653 / 2) - math.log(math.sqrt(2 * math.pi) * 0.1)
    assert values == pytest.approx([exact, -math.log(0.1586553), -math.log(0.1586553)], rel=1e-5)
    mills = 0.2419707 / 0.1586553
    slopes = loss.slopes(torch.ones(3, 1), labels).flatten().tolist()
    assert slopes == pytest.approx([-1 / 4, -mills / 2, mills / 2], rel=1e-5)


@pytest.mark.parametrize("away", [0.0, 1.0, 30.0, 1e3, 1e4, -5.0, -30.0, -1e4])
def test_mills_ratios_far_out_are_scipys(away: float) -> None:
    low, high = torch.tensor([away]).double(), torch.tensor([1e9]).double()
    assert log_chance(low, high).item() == pytest.approx(stats.norm.logsf(away), rel=1e-12)
    expected = math.exp(stats.norm.logpdf(away) - stats.norm.logsf(away)) if away < 30 else away + 1 / away
    assert inverse_mills(low, high)[0].item() == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_a_bound_far_away_pulls_in_float32_as_it_should() -> None:
    """At 10,000 spreads the slope is that of the parabola, z + 1 / z; 10,000 on the allowed side, none."""
    loss = with_spread("censored_gaussian", 1.0).float()
    labels = torch.cat([cell(1e4, INF), cell(-INF, 1e4)]).float()
    logits = torch.zeros(2, 1, requires_grad=True)
    values = loss.values(logits, labels)
    assert values.dtype == torch.float32
    values.sum().backward()
    for slopes in (logits.grad, loss.slopes(logits, labels)):
        assert slopes is not None
        assert slopes.flatten().tolist() == pytest.approx([-1e4, 0.0], rel=1e-6)


def test_squared_is_half_of_torchs() -> None:
    logits, labels = torch.randn(20, 3), torch.randn(20, 3)
    expected = functional.mse_loss(logits, labels, reduction="none") / 2
    torch.testing.assert_close(losses.build("squared", labels).values(logits, labels), expected)


@pytest.mark.parametrize("delta", [0.3, 1.0, 5.0])
def test_huber_is_torchs(delta: float) -> None:
    logits, labels = 3 * torch.randn(50, 3), torch.randn(50, 3)
    expected = functional.huber_loss(logits, labels, reduction="none", delta=delta)
    torch.testing.assert_close(losses.build("huber", labels, delta=delta).values(logits, labels), expected)


@pytest.mark.parametrize("name", ["gaussian", "censored_gaussian"])
def test_exact_values_have_torchs_gaussian_loss_but_for_a_constant(name: str) -> None:
    logits, labels = torch.randn(20, 1).double(), torch.randn(20, 1)
    variance = torch.full((20, 1), 0.49).double()
    expected = functional.gaussian_nll_loss(logits, labels, variance, reduction="none") - math.log(0.1)
    torch.testing.assert_close(with_spread(name, 0.7).values(logits, labels), expected)


@pytest.mark.parametrize("name", ["squared", "huber", "gaussian"])
def test_one_bound_is_a_hinge(name: str) -> None:
    """On the allowed side as at the bound, without a slope; on the other as if measured there."""
    loss = losses.build(name, torch.randn(50, 1))
    logits = torch.tensor([[-2.0], [0.5], [3.0]])
    above, exact = torch.tensor([[[0.5, INF]]] * 3), torch.full((3, 1), 0.5)
    values, slopes = loss.values(logits, above), loss.slopes(logits, above)
    torch.testing.assert_close(values[:2], loss.values(logits, exact)[:2])
    assert values[2] == values[1]
    assert slopes.flatten().tolist() == [loss.slopes(logits, exact)[0].item(), 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_exact_bounds_are_values(name: str) -> None:
    labels, logits = example_values(), torch.randn(60, 7)
    plain, bounded = losses.build(name, labels), losses.build(name, torch.stack([labels, labels], -1))
    both = torch.stack([labels, labels], -1)
    assert torch.equal(plain.values(logits, labels), bounded.values(logits, both))
    assert torch.equal(plain.slopes(logits, labels), bounded.slopes(logits, both))
    assert torch.equal(plain.start(labels), bounded.start(both))


@pytest.mark.parametrize("name", ["squared", "gaussian", "censored_gaussian"])
def test_standardised_values_start_at_0(name: str) -> None:
    labels = example_values(500)
    labels = labels - labels.nanmean(0)
    assert losses.build(name, labels).start(labels).abs().max() < 1e-6


def test_best_constants_of_exact_values_are_mean_and_sd() -> None:
    labels = 3 + 2 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    means, sds = best_constants(*measured_cells(labels), 2)
    expected = np.vstack([labels.numpy().astype(float), [[-1, -1], [1, 1]]])
    assert means.tolist() == pytest.approx(expected.mean(0), rel=1e-9)
    assert sds.tolist() == pytest.approx(expected.std(0), rel=1e-9)


def test_best_constants_of_censored_values_are_scipys() -> None:
    low, high, tasks = measured_cells(example_bounds())
    means, sds = best_constants(low, high, tasks, 7)
    for task in range(7):
        a, b = low[tasks == task].numpy(), high[tasks == task].numpy()
        exact = a == b

        def cost(place: np.ndarray, a: np.ndarray = a, b: np.ndarray = b, exact: np.ndarray = exact) -> float:
            law = stats.norm(place[0], math.exp(place[1]))
            chances = law.cdf(b[~exact]) - law.cdf(a[~exact])
            return -float(law.logpdf(a[exact]).sum() + np.log(chances).sum())

        options = {"xatol": 1e-7, "fatol": 1e-10}
        best = optimize.minimize(cost, [0.0, 0.0], method="Nelder-Mead", options=options)
        assert means[task].item() == pytest.approx(best.x[0], abs=1e-5)
        assert sds[task].item() == pytest.approx(math.exp(best.x[1]), rel=1e-5)


def test_what_is_cut_off_at_a_limit_is_recovered_by_the_likelihood_alone() -> None:
    """Values of mean 0 and sd 1, the upper 60 % known as "above" only: a hinge stays below the limit."""
    values = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    limit = float(values.quantile(0.4))
    labels = torch.stack([values.clamp(max=limit)] * 2, -1)
    labels[..., 1][values > limit] = INF
    loss = losses.build("censored_gaussian", labels)
    assert loss.start(labels).item() == pytest.approx(0, abs=0.03)
    assert loss.spreads().item() == pytest.approx(1, abs=0.03)
    assert losses.build("squared", labels).start(labels).item() < limit


@pytest.mark.parametrize("name", ["gaussian", "censored_gaussian"])
def test_the_noise_of_each_assay_is_learned(name: str) -> None:
    """Residuals of sd 0.2 and 0.6, held fixed: gradient descent on the spreads alone ends there."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 2, generator=generator)
    labels = logits + torch.randn(4000, 2, generator=generator) * torch.tensor([0.2, 0.6])
    loss = losses.build(name, labels)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        loss.values(logits, labels).mean(0).sum().backward()
        optimizer.step()
    assert loss.spreads().tolist() == pytest.approx([0.2, 0.6], rel=0.03)


@pytest.mark.parametrize("name", ["gaussian", "censored_gaussian"])
def test_a_network_that_is_always_right_gains_no_end(name: str) -> None:
    labels = torch.randn(50, 2)
    loss = losses.build(name, labels)
    with torch.no_grad():
        loss.spreads.log_spread.fill_(-50)
    assert (loss.values(labels, labels) >= 0).all()
    assert loss.spreads().tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    "wrong", [cell(2, 1), cell(INF, INF), cell(-INF, -INF), cell(-INF, INF), cell(INF, INF)[..., 0]]
)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_value_and_no_interval_is_an_error_that_shows_it(name: str, wrong: Tensor) -> None:
    with pytest.raises(DataError, match="molecule 0 of the batch in task 0 is no value and no interval"):
        losses.build(name, torch.zeros(3, 1)).values(torch.zeros(1, 1), wrong)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("huber", {"delta": 0}, "greater than 0"),
        ("gaussian", {"smallest_spread": 1}, "less than 1"),
        ("censored_gausian", {}, "Did you mean 'censored_gaussian'"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        losses.build(name, torch.zeros(3, 2), **options)


@pytest.mark.parametrize("name", ["gaussian", "censored_gaussian"])
def test_a_learned_spread_needs_the_labels(name: str) -> None:
    with pytest.raises(ValueError, match="training part's labels"):
        losses.get(name)()


@pytest.mark.parametrize("name", ["gaussian", "censored_gaussian"])
def test_heteroscedastic_heads_learn_where_values_are_noisy(name: str) -> None:
    """Noise of 0.9 where a feature is 1 and of 0.3 where it is 0, beside an assay of one noise."""
    generator = torch.Generator().manual_seed(0)
    is_noisy = (torch.rand(3000, 1, generator=generator) > 0.5).float()
    noise = torch.cat([0.3 + 0.6 * is_noisy, torch.full((3000, 1), 0.5)], 1)
    signal = torch.randn(3000, 2, generator=generator)
    labels = 0.5 * signal + noise * torch.randn(3000, 2, generator=generator)
    loss, heads = losses.build(name, labels), TaskHeads(3, 2, heteroscedastic=True)
    heads.start_spreads_at(loss.log_spreads())
    features = torch.cat([signal, is_noisy], 1).requires_grad_()
    gradients = Gradients(heads, build_balancer("equal", ["a", "b"]), loss=loss)
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.03)
    for _ in range(300):
        look = gradients.look(features, labels)
        optimizer.zero_grad()
        look.backward(gradients.balancer.decide(look.step))
        optimizer.step()
    spreads = heads.log_spreads(features)
    assert spreads is not None
    for of_noise, expected in ((0, [0.3, 0.5]), (1, [0.9, 0.5])):
        means = spreads[is_noisy[:, 0] == of_noise].exp().mean(0).tolist()
        assert means == pytest.approx(expected, rel=0.1)
    assert heads.weight.detach()[[0, 1], [0, 1]].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_to_one_side_alone_have_an_end(sign: int) -> None:
    """Further out is always better for them, and a training would drift without end."""
    torch.manual_seed(0)
    inputs = torch.randn(60, 4)
    near = inputs[:, :1] - inputs[:, :1].mean()
    ends = (near, torch.full_like(near, INF)) if sign > 0 else (torch.full_like(near, -INF), near)
    labels = torch.stack(ends, dim=2)
    loss, head = losses.build("censored_gaussian", labels), torch.nn.Linear(4, 1)
    outermost = (sign * near).max()
    assert sign * loss.start(labels).item() < outermost + 2
    optimizer = torch.optim.AdamW([*head.parameters(), *loss.parameters()], lr=0.1)
    for _ in range(1500):
        optimizer.zero_grad()
        loss.values(head(inputs), labels).mean().backward()
        optimizer.step()
    predicted = sign * head(inputs)
    assert predicted.mean() < outermost + 2
    assert (predicted > sign * near - 0.5).float().mean() > 0.9, "the bounds are kept"


def test_assays_with_an_exact_value_or_bounds_to_both_sides_are_as_they_were() -> None:
    rows = [
        [cell(0.5, INF), cell(0.5, INF)],
        [cell(1.0, 1.0), cell(-INF, 0.7)],
        [cell(NAN, NAN), cell(0, INF)],
    ]
    labels = torch.cat([torch.cat(row, dim=1) for row in rows])
    loss = losses.build("censored_gaussian", labels)
    assert loss.far.isinf().all()
    spread = loss.spreads().double()
    chance = stats.norm.sf((0.5 - 3) / spread[0].item())
    value = loss.values(torch.full((1, 2), 3.0), labels[:1].float())[0, 0].item()
    assert value == pytest.approx(-math.log(chance), rel=1e-4)


def test_a_bound_beyond_those_of_the_training_part_is_an_interval_too() -> None:
    labels = torch.cat([cell(0.0, INF), cell(1.0, INF)])
    loss = losses.build("censored_gaussian", labels).double()
    values = loss.values(torch.tensor([[9.0]]).double(), cell(8.0, INF))
    assert values.isfinite().all()
    assert values.item() < loss.values(torch.tensor([[12.0]]).double(), cell(8.0, INF)).item()
