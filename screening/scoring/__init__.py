"""A library as a stream of blocks that can be restarted."""
