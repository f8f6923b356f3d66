"""What the audit of dependencies says of pip-audit's answers."""

from audit import report

UNKNOWN = {"name": "lap", "skip_reason": "Dependency not found on PyPI and could not be audited: lap (0.5.12)"}
SOUND = {"name": "numpy", "version": "1.26.4", "vulns": []}


def vulnerable(*fix_versions):
    found = {"id": "PYSEC-2024-1", "fix_versions": list(fix_versions), "aliases": [], "description": "bad"}
    return {"name": "pillow", "version": "1.0", "vulns": [found]}


def test_what_is_vulnerable_and_mended_elsewhere_fails():
    lines, code = report([SOUND, vulnerable("1.1", "2.0"), UNKNOWN])
    assert code == 1
    assert lines[0] == "pillow 1.0: PYSEC-2024-1, fixed in 1.1, 2.0"
    assert lines[-1] == "audit: 2 packages looked up, 1 not, 1 vulnerabilities"


def test_what_nobody_has_mended_is_named():
    assert report([vulnerable()]) == (
        ["pillow 1.0: PYSEC-2024-1, no fix yet", "audit: 1 packages looked up, 0 not, 1 vulnerabilities"],
        0,
    )


def test_nothing_looked_up_is_not_called_clean():
    for packages, why in (([UNKNOWN, UNKNOWN], "not found on PyPI"), ("no answer in time", "no answer in time")):
        (line,), code = report(packages)
        assert (line.startswith("audit SKIPPED: no"), why in line, code) == (True, True, 0)
    assert report([SOUND]) == (["audit: 1 packages looked up, 0 not, 0 vulnerabilities"], 0)
