"""Encoders, heads, losses; the baselines."""
