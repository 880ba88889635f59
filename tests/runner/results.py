"""What a test program said, as cases: reads TAP (also cmocka's) and JUnit XML."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

PLAN = re.compile(r"^1\.\.(\d+)")
CASE = re.compile(r"^(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)$")
SKIP = re.compile(r"#\s*skip\s*(.*)$", re.IGNORECASE)


@dataclasses.dataclass
class Case:
    name: str
    outcome: str
    text: str = ""  # why it was skipped, or what it said when it failed


def cases_of_tap(text):
    """Returns the cases, each with what was said since the one before it, and how many were announced."""
    cases, announced, since = [], 0, 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        line = line.strip()
        plan, case = PLAN.match(line), CASE.match(line)
        if plan:
            announced += int(plan.group(1))
        if not case:
            continue
        skip = SKIP.search(case.group(2))
        name = case.group(2).split("#")[0].strip()
        if skip: # cmocka writes "not ok 3 # SKIP name"
            cases.append(Case(name or skip.group(1), SKIPPED, skip.group(1) if name else "skipped by the test"))
        else:
            cases.append(Case(name, FAILED if case.group(1) else PASSED))
            if case.group(1):
                after = next((at for at in range(number + 1, len(lines)) if CASE.match(lines[at].strip())), len(lines))
                cases[-1].text = "\n".join(lines[since:after])
        since = number + 1
    return cases, announced


def verdict(text, exit_status, timed_out):
    """The cases of one program. What it says is not taken on trust: a bad end, a missing case and silence each count as
    a failure."""
    cases, announced = cases_of_tap(text)
    failed = any(case.outcome == FAILED for case in cases)
    complaint = None
    if timed_out:
        complaint = "took longer than allowed"
    elif exit_status < 0:
        complaint = f"was ended by signal {-exit_status}"
    elif len(cases) < announced:
        complaint = f"announced {announced} cases and ran {len(cases)}"
    elif not cases:
        complaint = "reported no case" if exit_status == 0 else f"ended with status {exit_status}"
    elif exit_status != 0 and not failed:
        complaint = f"ended with status {exit_status}, though no case failed"
    if complaint:
        cases.append(Case(f"({complaint})", FAILED, text))
    return cases


def verdict_by_exit_status(text, exit_status, timed_out):
    """For a program that is one case and prints what it likes."""
    outcome = PASSED if exit_status == 0 and not timed_out else FAILED
    return [Case("", outcome, "" if outcome == PASSED else text)]


def verdict_of_pytest(report_path, text, exit_status, timed_out):
    cases = []
    try:
        for node in ElementTree.parse(report_path).iter("testcase"):
            cases.append(case_of_junit(node))
    except (OSError, ElementTree.ParseError):
        pass
    failed = any(case.outcome == FAILED for case in cases)
    if timed_out or not cases or (exit_status != 0 and not failed):
        reason = "took longer than allowed" if timed_out else f"pytest ended with status {exit_status}"
        cases.append(Case(f"({reason})", FAILED, text))
    return cases


def case_of_junit(node):
    for child in node:
        if child.tag in ("failure", "error"):
            said = "\n".join(part.text or "" for part in node.iter() if part.tag in ("failure", "error", "system-err"))
            return Case(node.get("name"), FAILED, said or child.get("message", ""))
        if child.tag == "skipped":
            return Case(node.get("name"), SKIPPED, child.get("message", ""))
    return Case(node.get("name"), PASSED)
