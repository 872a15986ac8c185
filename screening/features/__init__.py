"""Molecules to numbers, packed and cached."""
