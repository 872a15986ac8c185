"""Sections of a config about many trainings: balancers side by side, the search for settings."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .config_parts import AChain, Positive, Section
from .plain_yaml import option


class Benchmark(Section):
    """Balancers side by side, for `screening benchmark`; all else is as in the rest of the config."""

    balancers: Annotated[tuple[AChain, ...], Field(min_length=2)]
    """What to train with, one after the other; the others are compared with the first."""
    seeds: Positive = 3
    """Runs with each, with the seeds `seed`, `seed` + 1, ..."""


class Range(Section):
    """The values that a setting may take in a search: a range of numbers, or a list of choices."""

    low: float | None = None
    """Lowest value of a range."""
    high: float | None = None
    """Highest value of a range."""
    log: bool = False
    """Whether it is searched by orders of magnitude."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Distance between two values of a range, from `low` on; null = any number, or any whole one."""
    choices: tuple[Any, ...] = ()
    """Values of any kind, in place of a range."""

    @field_validator("choices", mode="before")
    @classmethod
    def _as_typed_values(cls, value: Any) -> Any:
        return option(value)

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> "Range":
        if self.choices:
            if (self.low, self.high, self.step) != (None, None, None) or self.log:
                raise ValueError("choices and a range (low, high, log, step) are given: leave one out")
            if len(self.choices) < 2 or any(one in self.choices[:at] for at, one in enumerate(self.choices)):
                raise ValueError("expected two or more different choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("expected low and high, such as {low: 1e-4, high: 3e-3, log: true}, or choices")
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: expected low below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and has no step")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """`low` and `high` of a range."""
        if self.low is None or self.high is None:
            raise ValueError("choices have no bounds")
        return self.low, self.high


class Tune(Section):
    """The search for settings, for `screening tune`; all else is as in the rest of the config."""

    trials: Positive = 40
    """Trials in all, those of earlier starts and failed ones among them."""
    space: dict[str, Range] = {}
    """What is searched, by setting: {train.lr: {low: 0.0001, high: 0.003, log: true}, model.encoder.width:
    {choices: [128, 256]}}; of a blend's baseline model.blend.NAME.OPTION. Empty = a default for the model."""
    seeds: Positive = 1
    """Trainings of a trial, with the seeds `seed`, `seed` + 1, ...; what counts is their mean."""
    prune: bool = True
    """Stop a trial whose best epoch is worse than the median of those before at that epoch."""


class LearningCurve(Section):
    """The model on shares of the training part, for `screening evaluate --learning-curve`."""

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=2)] = (
        0.1,
        0.25,
        0.5,
        1.0,
    )
    """Shares of the training part, each inside the next; the last is 1."""
    seeds: Positive = 3
    """Trainings at each share, with the seeds `seed`, `seed` + 1, ..., and molecules drawn anew."""
    by: Literal["random", "scaffold"] = "random"
    """What is left out: `random` molecules, or whole `scaffold`s, as where new series are measured."""
    thin: tuple[str, ...] = ()
    """Assays, by name or pattern, that are also thinned alone, while the others keep all their labels; as
    many more trainings each. `*` = every assay."""

    @model_validator(mode="after")
    def _rises_to_one(self) -> "LearningCurve":
        if list(self.shares) != sorted(set(self.shares)) or self.shares[-1] != 1:
            raise ValueError(f"shares are {list(self.shares)}: expected rising ones that end with 1")
        return self
