"""The errors a user can cause; everything else is a fault of ours and keeps its traceback."""


class ScreeningError(Exception):
    """A mistake in what the user gave: says what, where, what was expected and what to do."""


class ConfigError(ScreeningError):
    """A wrong setting: unknown name, value out of range, settings that do not go together."""


class DataError(ScreeningError):
    """A table, label or molecule file that cannot be used as it is."""


class BundleError(ScreeningError):
    """A trained model on disk that is incomplete, damaged, or from another version."""
