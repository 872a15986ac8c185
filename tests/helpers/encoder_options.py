"""Small options of every registered encoder, and the variants that other paths of the code go through."""

OPTIONS = {
    "gine": {"depth": 2, "width": 16},
    "dmpnn": {"depth": 3, "width": 16},
    "fingerprint": {"widths": (16, 8)},
    "hybrid": {"width": 16, "depth": 2, "hidden": 16, "projection": 8},
    "pyg": {"width": 8, "depth": 2},
    "snn": {"width": 16, "depth": 3},
}
VARIANTS = [
    *((name, options) for name, options in OPTIONS.items()),
    ("gine", {"depth": 3, "width": 16, "virtual_node": True, "pooling": "sum"}),
    ("hybrid", {"graph": "dmpnn", "width": 16, "depth": 2, "hidden": 8}),
    ("hybrid", {"graph": {"name": "gine", "width": 8, "depth": 3, "virtual_node": True}, "hidden": 8}),
    ("pyg", {"model": "AttentiveFP", "width": 8, "depth": 3, "options": {"num_timesteps": 3}}),
    ("pyg", {"model": "EdgeCNN", "width": 8, "depth": 2}),
    (
        "pyg",
        {"model": "GAT", "width": 8, "depth": 2, "options": {"heads": 4, "v2": True, "norm": "graph_norm"}},
    ),
    ("pyg", {"model": "GCN", "width": 8, "depth": 2, "options": {"jk": "cat", "act": "elu"}}),
    ("pyg", {"model": "GraphSAGE", "width": 8, "depth": 2, "pooling": "mean", "options": {"norm": None}}),
    ("pyg", {"model": "PNA", "width": 8, "depth": 2}),
    ("hybrid", {"graph": {"name": "pyg", "model": "GAT"}, "width": 8, "hidden": 8}),
]
