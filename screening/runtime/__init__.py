"""Processes, ranks, progress, atomic writes, ragged arrays."""
