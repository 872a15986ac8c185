"""Labels and scores to numbers with intervals; arrays only."""
