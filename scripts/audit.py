"""Looks up this environment's packages in the database of known vulnerabilities and says how far that went.

    python scripts/audit.py

pip-audit leaves with 0 also where the network or an index answered nothing; here what was not looked up is counted
and said. Exit code 1: something vulnerable is installed for which a fixed version exists. 0: nothing such was found, or
nothing could be looked up.
"""

import json
import subprocess
import sys

PATIENCE_S = 15


def look_up() -> list[dict] | str:
    """The packages with their vulnerabilities, as pip-audit tells them in JSON; or why there is no answer."""
    words = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    words += ["--timeout", str(PATIENCE_S), "--skip-editable"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20 * PATIENCE_S, check=False)
        return json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return "no answer in time"
    except json.JSONDecodeError:
        return (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]


def report(packages: list[dict] | str) -> tuple[list[str], int]:
    """What to say, a line each, and the exit code."""
    if isinstance(packages, str):
        return [f"audit SKIPPED: no package was looked up: {packages}"], 0
    looked_up = [package for package in packages if "vulns" in package]
    if not looked_up:
        why = packages[0]["skip_reason"] if packages else "there are none"
        return [f"audit SKIPPED: none of {len(packages)} packages was looked up: {why}"], 0
    lines, exit_code = [], 0
    for package in looked_up:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"])
            fate = f"fixed in {fixed}" if fixed else "no fix yet"
            lines.append(f"{package['name']} {package['version']}: {found['id']}, {fate}")
            exit_code = 1 if fixed else exit_code
    left_out = len(packages) - len(looked_up)
    lines.append(f"audit: {len(looked_up)} packages looked up, {left_out} not, {len(lines)} vulnerabilities")
    return lines, exit_code


if __name__ == "__main__":
    said, code = report(look_up())
    print("\n".join(said))
    sys.exit(code)
