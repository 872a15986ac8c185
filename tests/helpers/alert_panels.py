"""What each assay of the embedded table is, as the file beside it says."""

import csv

from screening.data import datasets
from screening.data.alerts_table import Panel, make_alerts


def alert_panels() -> list[Panel]:
    """In the order of the table's columns; the table is made if need be."""
    table = make_alerts(datasets.cache_folder())
    path = table.with_name(table.name.replace("alerts", "alerts-panels").removesuffix(".gz"))
    with path.open(newline="") as file:
        return [Panel(**row) for row in csv.DictReader(file)]
