"""From scores to compounds one would order, and why they score."""
