"""The launcher's command: `python -m train.launch N [rank_table.json] [--dry-run] key=value ...`.

Starts N ranks of `python -m train key=value ...` on the hosts of the table, or on this one, and stays until they have
ended. Exit codes: 0 done, 1 failed, 2 refused arguments or configuration, 130 ended by a signal.
"""

import sys

from fairmot.cli.command import when_called
from fairmot.errors import ConfigError, FairMOTError
from train.launch.arguments import parse, usage
from train.output import say


def main() -> int:
    """The command; returns the exit code."""
    words = sys.argv[1:]
    try:
        if not words or {"-h", "--help"} & set(words):
            print(usage(words), flush=True)
            return 0 if words else ConfigError.exit_code
        arguments = parse(words)
        return when_called("train.launch.command:launch")(arguments, arguments.configuration())
    except FairMOTError as error:
        say(f"error: {error}")
        return error.exit_code
    except OSError as error:  # such as a full disk, or a folder that is gone
        say(f"error: {str(error) or type(error).__name__}")
        return FairMOTError.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
