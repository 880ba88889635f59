"""Known-bad test programs: the runner must count each of them as failed, or it cannot be believed."""

import os
import time

from . import results
from . import jobs
from .jobs import Job, Outcome

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")

# program: (passed, failed, skipped) that the runner must count
EXPECTED = {
    "passes": (2, 0, 0),
    "skips": (1, 0, 1),
    "fails": (1, 1, 0),
    "fails_as_cmocka": (1, 1, 1),
    "crashes": (1, 1, 0),
    "hangs": (1, 1, 0),
    "ends_badly": (1, 1, 0),
    "says_nothing": (0, 1, 0),
    "stops_early": (1, 1, 0),
}
EXPECTED_OF_PYTEST = {
    "pytest_fails.py": (1, 1, 1),
    "pytest_broken.py": (0, 1, 0),
}


def counted(job, folder):
    outcome = jobs.run(job, os.path.join(folder, "selfcheck.out"))
    return tuple(outcome.count(kind) for kind in (results.PASSED, results.FAILED, results.SKIPPED))


def program(name):
    return Job("runner", name, [os.path.join(FIXTURES, name)], timeout_s=0.5 if name == "hangs" else 30)


def pytest_file(name, folder):
    report = os.path.join(folder, "selfcheck.xml")
    if os.path.exists(report):
        os.unlink(report)
    return Job("runner", name,
               ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                os.path.join(FIXTURES, name)],
               environment={"PYTHONDONTWRITEBYTECODE": "1"},
               judge=lambda text, status, late: results.verdict_of_pytest(report, text, status, late))


def run_fixtures(folder):
    for name, expected in EXPECTED.items():
        yield name, expected, counted(program(name), folder)
    for name, expected in EXPECTED_OF_PYTEST.items():
        yield name, expected, counted(pytest_file(name, folder), folder)


def run_cases(folder):
    for name, expected, found in run_fixtures(folder):
        good = found == expected
        yield results.Case(f"counts what '{name}' does", results.PASSED if good else results.FAILED,
                           "" if good else f"passed, failed, skipped: counted {found}, expected {expected}")


def run(folder):
    started = time.monotonic()
    return Outcome(Job("runner", "counts known-bad programs", []), list(run_cases(folder)),
                   time.monotonic() - started)
