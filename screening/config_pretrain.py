"""What can be set for pre-training: a section of the config."""

from typing import Annotated

from pydantic import Field

from .config_parts import Positive, Section


class Pretrain(Section):
    """What `screening pretrain` learns: of a library what is computed, or of tables their labels."""

    targets: tuple[str, ...] = ("rdkit_descriptors", "ecfp_counts")
    """Featurizers of vectors whose numbers are learned of the molecules of a library."""
    teacher: str | None = None
    """Run folder or bundle whose logits, and values of real assays, are learned beside them."""
    teacher_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the teacher's set in the loss; each featurizer of `targets` has 1."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.15
    """Share of the targets of a molecule, drawn in each step, that count; of a teacher's all do."""
    clip: Annotated[float, Field(gt=0)] = 6.0
    """Standard deviations from the mean that a target may be off; what is further off counts as so far."""
    molecules: Positive = 1_000_000
    """At most so many, drawn at random from the library."""
    epochs: Positive = 5
    """Passes over the library; with tables `train.epochs` counts."""
    batch_size: Positive = 256
    """Molecules of the library per step."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate on the library; warm-up, clip and weight decay are those of `train`."""
    tables: tuple[str, ...] = ()
    """In place of a library: tables, by name or path, whose assays are learned by one network."""
    exclude: tuple[str, ...] = ()
    """Tables, by name or path, to be tested on: all their structures are left out, by skeleton (first block
    of the parent's InChIKey)."""
