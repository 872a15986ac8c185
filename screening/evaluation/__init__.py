"""How good runs are: per assay, on other tables, against each other, over seeds."""
