"""From the losses (and gradients) of T tasks to one update."""
