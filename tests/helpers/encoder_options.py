"""Small options of every registered encoder, and the variants that other paths of the code go through."""

OPTIONS = {
    "gine": {"depth": 2, "width": 16},
    "dmpnn": {"depth": 3, "width": 16},
    "fingerprint": {"widths": (16, 8)},
    "hybrid": {"width": 16, "depth": 2, "hidden": 16, "projection": 8},
}
VARIANTS = [
    *((name, options) for name, options in OPTIONS.items()),
    ("gine", {"depth": 3, "width": 16, "virtual_node": True, "pooling": "sum"}),
    ("hybrid", {"graph": "dmpnn", "width": 16, "depth": 2, "hidden": 8}),
    ("hybrid", {"graph": {"name": "gine", "width": 8, "depth": 3, "virtual_node": True}, "hidden": 8}),
]
