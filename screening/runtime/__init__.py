"""Processes, ranks, progress, whole-or-nothing files."""
