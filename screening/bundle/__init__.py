"""A trained model on disk, for us and for other programs."""
