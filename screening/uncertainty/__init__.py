"""Calibrated probabilities, conformal sets, applicability domain."""
