"""Which assays should train together, and whether it helps."""
