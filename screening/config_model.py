"""The section `model` of a config: encoder and heads, a baseline, or a blend of several."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from .config_parts import AComponent, AnEncoder, Component, EncoderChoice, Section, Share, by_name
from .plain_yaml import option, typed

NETWORK = "network"
"""What the network is called among the models of a blend."""

RESERVED = ("blend", "equal")
"""Names in tables of a blend that no model can have."""


class BlendPart(Component):
    """A model of a blend: `network` or a baseline, its options as further keys."""

    given_name: str | None = Field(default=None, alias="as")
    """What it is called in tables and files; None = its name."""
    vectors: tuple[str, ...] | None = None
    """Those of features.vectors that it sees; None = all."""
    encoder: AComponent | None = None
    """Of a network; None = model.encoder."""

    @model_validator(mode="before")
    @classmethod
    def _as_typed(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        kinds = {"name": str, "as": str | None, "vectors": tuple[str, ...] | None}
        return {
            key: typed(item, kinds[key]) if key in kinds else item if key == "encoder" else option(item)
            for key, item in value.items()
        }

    @model_validator(mode="after")
    def _is_a_model(self) -> "BlendPart":
        if self.name == NETWORK and self.options:
            raise ValueError(
                f"network has no options in blend ({', '.join(self.options)}): its encoder has, as "
                "{name: network, encoder: {name: ..., OPTION: ...}}, and train is for all networks"
            )
        if self.name != NETWORK and self.encoder is not None:
            raise ValueError(f"{self.name} has no encoder: only network has one")
        return self

    @model_serializer
    def _without_what_is_not_given(self) -> dict[str, Any]:
        own = {
            "as": self.given_name,
            "vectors": None if self.vectors is None else list(self.vectors),
            "encoder": None if self.encoder is None else self.encoder.model_dump(),
        }
        given = {key: value for key, value in own.items() if value is not None}
        return {"name": self.name, **given, **self.options}

    @property
    def label(self) -> str:
        """What it is called in tables and files."""
        return self.given_name or self.name


ABlendPart = Annotated[BlendPart, BeforeValidator(by_name)]


class Blending(Section):
    """How the models of a blend are weighed."""

    weights: Literal["equal", "fitted"] = "equal"
    """`equal` = the mean of their scores; `fitted` = weights of each assay, drawn towards weights shared by
    all, learned from predictions of molecules of the training part that a model was not fitted to."""
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    """Parts of the training part that are left out in turn; networks and trees are fitted again for each."""
    by: Literal["auto", "scaffold", "random"] = "auto"
    """`scaffold` = a Murcko scaffold is in one fold alone; `auto` = so where the scaffolds of the test part
    are not in the training part."""


class Heads(Section):
    """One output per task on top of the shared representation."""

    hidden: Annotated[int, Field(ge=0, le=20_000)] = 0
    """Width of a private hidden layer per task; 0 = linear heads."""
    dropout: Share = 0.0
    """Share of the hidden layer left out in a training step."""
    heteroscedastic: bool = False
    """Of real assays: the noise of each molecule is learned beside its value, in place of one per assay."""


class Model(Section):
    """Shared encoder and task heads; or a baseline, for which they and `train`'s settings do not count."""

    encoder: AnEncoder = EncoderChoice(name="gine")
    """From a molecule to its representation, shared by all assays: `screening list encoders`. Beside its
    options, init: RUN begins with the encoder of a run or bundle in place of random weights."""
    heads: Heads = Heads()
    baseline: AComponent | None = None
    """A model per assay on the vector features in place of the network, such as random_forest; on the command
    line also model=baseline:random_forest."""
    blend: tuple[ABlendPart, ...] = ()
    """Models whose scores are put together: `network` and baselines by name, such as [network,
    gaussian_process], or {name: network, as: graph, encoder: gine, vectors: [ecfp_counts]}, each with a name,
    vectors and an encoder of its own; empty = the network alone, or the baseline."""
    blending: Blending = Blending()
    single_task: bool = False
    """A network of its own for every assay, the control of all sharing; costs as many trainings."""

    @model_validator(mode="after")
    def _is_one_or_a_blend(self) -> "Model":
        if self.blend and self.baseline is not None:
            raise ValueError("blend and baseline are given: name the baseline in blend, or leave one out")
        if self.single_task and not self.has_network:
            raise ValueError("a baseline has a model per assay anyway: leave model.single_task out")
        if self.encoder.init is not None and not self.has_network:
            raise ValueError("encoder.init is given, and no network is trained: leave it out")
        if self.blending.weights == "fitted" and not self.blend:
            raise ValueError("blending.weights is fitted, and there is no blend: name its models in blend")
        _check_labels(self.blend)
        return self

    @property
    def parts(self) -> tuple[BlendPart, ...]:
        """The models that are trained: the blend, the baseline, or the network."""
        if self.blend:
            return self.blend
        alone = self.baseline or Component(name=NETWORK)
        return (BlendPart.model_validate({"name": alone.name, **alone.options}),)

    @property
    def by_itself(self) -> "Model":
        """As a bundle has it, which needs no other run."""
        return self.model_copy(update={"encoder": self.encoder.model_copy(update={"init": None})})

    @property
    def has_network(self) -> bool:
        """Whether a network is among them."""
        return any(part.name == NETWORK for part in self.parts)

    @property
    def is_weighed(self) -> bool:
        """Whether several models are put together with weights that are fitted."""
        return self.blending.weights == "fitted" and len(self.blend) > 1

    def of(self, label: str) -> "Model":
        """The settings of one model of the blend, which is then the only one; "" = these themselves.

        Raises
        ------
        KeyError : there is none of that label.
        """
        if not label:
            return self
        part = {each.label: each for each in self.blend}[label]
        encoder = self.encoder
        if part.encoder is not None:
            encoder = EncoderChoice(name=part.encoder.name, **part.encoder.options)
        return self.model_copy(update={"blend": (part,), "encoder": encoder})


def _check_labels(parts: tuple[BlendPart, ...]) -> None:
    """Raise ValueError where two models of a blend have one name, or one that cannot name a file."""
    labels = [part.label for part in parts]
    for label in labels:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", label) or label in RESERVED:
            raise ValueError(
                f"a model of blend is called '{label}': expected letters, digits and _, a letter first, and "
                f"not {' or '.join(RESERVED)}"
            )
    if len(set(labels)) < len(labels):
        raise ValueError(
            f"blend names a model twice: {', '.join(labels)}. Give each a name of its own, as "
            f"{{name: {labels[0]}, as: first}}"
        )
