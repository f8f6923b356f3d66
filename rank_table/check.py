"""Check a rank table: `python rank_table/check.py rank_table.json [N]`. Needs Python alone, no installation.

Exit codes: 0 good, 2 faulty; every fault is named with its place in the file and how to mend it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also from a checkout that is not installed

from fairmot.errors import ConfigError
from train.cluster.rank_table import read_rank_table


def main(words: list[str]) -> int:
    """Check the table named by the first word, against the number of ranks in the second."""
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    if len(words) not in (1, 2) or not all(word.isdecimal() for word in words[1:]):
        print("usage: python rank_table/check.py rank_table.json [number of ranks]", file=sys.stderr)
        return ConfigError.exit_code
    try:
        table = read_rank_table(Path(words[0]), int(words[1]) if len(words) > 1 else None)
    except ConfigError as error:
        for fault in str(error).splitlines():
            print(f"error: {fault}", file=sys.stderr)
        return error.exit_code
    print(f"{table.path}: good, {table.num_ranks} ranks on {len(table.servers)} hosts")
    for server in table.servers:
        devices = ", ".join(f"{device.rank} on device {device.device_id}" for device in server.devices)
        print(f"  {server.server_id}: ranks {devices}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
