"""The build folders of the test run, and the test programs that each of them runs."""

import functools
import json
import os
import platform
import re
import subprocess
import time

from . import results
from .jobs import Job, Outcome

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:second_deadlock_stack=1",
}
SUITES_BY_EXIT_STATUS = ("fuzz",)


class Build:
    """folder; arguments of `meson setup`; `wants` says of a test's tags whether it runs in this build."""

    def __init__(self, folder, arguments, wants, environment=None, sanitized=True):
        self.folder, self.arguments, self.wants = folder, arguments, wants
        self.environment, self.sanitized = environment or {}, sanitized


# Tags (meson suites): `normal` keeps a test out of the sanitizer builds, where it would take too long; `threads` has it
# run under the thread sanitizer as well; `waits` is for those that mostly wait.
BUILDS = [
    Build("build", [], lambda tags: "normal" in tags or "power" in tags, sanitized=False),
    Build("build-asan", ["-Db_sanitize=address,undefined"],
          lambda tags: not tags & {"normal", "power", "fuzz"}),
    Build("build-tsan", ["-Db_sanitize=thread"], lambda tags: "threads" in tags),
    Build("build-fuzz", ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                         "-Dwerror=false"],
          lambda tags: "fuzz" in tags, {"CC": "clang"}),
]


def command_output(command, environment=None):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout


def configure(build):
    if os.path.exists(os.path.join(build.folder, "build.ninja")) and tests_of(build.folder):
        return 0, ""
    again = ["--reconfigure"] if os.path.exists(os.path.join(build.folder, "build.ninja")) else []
    return command_output(["meson", "setup", build.folder, *again, *build.arguments], build.environment)


def tests_of(folder):
    status, text = command_output(["meson", "introspect", "--tests", folder])
    return json.loads(text) if status == 0 else []


def tags_of(test):
    return {suite.split(":")[-1] for suite in test["suite"]}


def targets_of(test, build):
    """The programs that it takes, by their names for ninja."""
    top = os.path.abspath(build.folder) + "/"
    parts = [os.path.join(os.path.abspath(test["workdir"] or build.folder), part) for part in test["cmd"]]
    return [part.removeprefix(top) for part in parts if part.startswith(top)]


def ninja(build, workers, targets):
    return command_output(["ninja", "-j", str(workers), "-k", "0", "-C", build.folder, *targets])


def outcome_of(name, status, text, started):
    text = "\n".join(line for line in text.splitlines() if not re.match(r"\[\d+/\d+\] ", line))
    case = results.Case("compiles", results.PASSED if status == 0 else results.FAILED, text)
    return Outcome(Job("build", name, []), [case], time.monotonic() - started)


def compile_program(workers):
    started = time.monotonic()
    status, text = configure(BUILDS[0])
    if status == 0:
        status, text = ninja(BUILDS[0], workers, ["program"])
    return outcome_of("the program", status, text, started)


def compile_tests(build, workers):
    """Returns (tests that run here, Outcome of the build)."""
    started = time.monotonic()
    tests = []
    status, text = configure(build)
    if status == 0:
        status, text = ninja(build, workers, ["build.ninja"])  # takes up what changed in a meson.build
    if status == 0:
        tests = [test for test in tests_of(build.folder) if build.wants(tags_of(test))]
        targets = sorted({target for test in tests for target in targets_of(test, build)})
        status, text = ninja(build, workers, targets) if targets else (0, "")
    tests = [test for test in tests
             if all(os.path.exists(os.path.join(build.folder, target)) for target in targets_of(test, build))]
    return tests, outcome_of(f"tests in {build.folder}", status, text, started)


@functools.cache
def without_random_addresses():
    """The sanitizers of gcc 12 do not start where the kernel spreads addresses widely."""
    command = ["setarch", platform.machine(), "-R"]
    try:
        return command if command_output(command + ["true"])[0] == 0 else []
    except OSError:
        return []


def job_of_test(test, build):
    tags = tags_of(test)
    suite = (tags - {"threads", "normal", "waits"}).pop()
    sanitizer = build.folder.partition("-")[2].removesuffix("fuzz")
    return Job(
        suite=f"{suite} ({sanitizer})" if sanitizer else suite,
        name=test["name"],
        command=(without_random_addresses() if build.sanitized else []) + test["cmd"],
        timeout_s=test["timeout"] or 300,
        environment={"CMOCKA_MESSAGE_OUTPUT": "TAP", **SANITIZER_OPTIONS, **test["env"]},
        folder=test["workdir"] or build.folder,
        alone=not test["is_parallel"],
        waits="waits" in tags,
        judge=results.verdict_by_exit_status if tags & set(SUITES_BY_EXIT_STATUS) else results.verdict)
