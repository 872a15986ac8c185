"""Words to calls, results to terminal tables."""
