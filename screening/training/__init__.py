"""From a config and a table to a run folder."""
