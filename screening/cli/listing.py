"""The command list: what can be named in a config. Joined to the command line by `main`."""

from typing import Annotated

import typer

from .console import tell
from .grid import NAME, Column, print_table


def list_family(
    family: Annotated[
        str | None,
        typer.Argument(
            help="balancers, baselines, calibrations, encoders, featurizers, filters, losses, splits or "
            "metrics; all families if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """What can be named in a config, with the options of each."""
    from . import families

    if family is None:
        columns = [Column("family"), Column("members"), Column("what they are", folds=NAME)]
        print_table("families", columns, families.overview())
        tell("The members of one: screening list balancers")
        return
    members = families.family(family)
    columns = [Column("name"), Column("what it is", folds=NAME), Column("from", folds=NAME)]
    columns += [Column("options", folds=NAME)]
    has_costs = any(member.cost for member in members)
    if has_costs:
        columns += [Column(families.COST_OF.get(family, "cost"), folds=NAME), Column("paper", folds=NAME)]
    rows = [
        [
            *(member.name, member.summary, member.source, ", ".join(member.options)),
            *[member.cost, member.paper] * has_costs,
        ]
        for member in members
    ]
    print_table(family, columns, rows)
