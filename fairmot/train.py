"""What the other commands' names suggest, python -m fairmot.train; the trainer is a package of its own, `train`."""

import shlex
import sys

from fairmot.errors import ConfigError

if __name__ == "__main__":
    print(f"error: type python -m train {shlex.join(sys.argv[1:])}".rstrip(), file=sys.stderr)
    sys.exit(ConfigError.exit_code)
