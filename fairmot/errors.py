"""The errors a user can mend. A command prints them as one message, without a traceback."""

LONGEST_REASON = 300
"""Of what a library says, which may quote a file: for `excerpt`."""


def excerpt(text: str, longest: int = 40) -> str:
    """A text out of somebody's file as a message shows it: its beginning, where it is long."""
    return text if len(text) <= longest else f"{text[:longest]}..."


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
