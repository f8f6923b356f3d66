"""The errors a user can mend. A command prints them as one message, without a traceback."""

_LONGEST_SHOWN = 40


def excerpt(text: str) -> str:
    """A text out of somebody's file as a message shows it: its beginning, where it is long."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class FairMOTError(Exception):
    """Something outside the program is wrong: a file, a folder, a server. Ends a command with exit code 1.

    The message names the file, line, key or rank and says how to mend it.
    """

    exit_code = 1


class ConfigError(FairMOTError):
    """A refused argument or configuration value. Ends a command with exit code 2."""

    exit_code = 2


class DataError(FairMOTError):
    """A list, label or image file that cannot be used; the message names file and line."""


class CheckpointError(FairMOTError):
    """A checkpoint that cannot be written, read, or does not belong to this run."""
