"""Jobs: one program each, run a few at a time, each with a time limit and its output in a file of its own."""

import concurrent.futures
import dataclasses
import os
import signal
import subprocess
import time
import typing

from . import results


@dataclasses.dataclass
class Job:
    suite: str
    name: str
    command: list
    timeout_s: float = 300
    environment: dict = dataclasses.field(default_factory=dict)
    folder: str = "."
    alone: bool = False  # nothing else may run beside it
    waits: bool = False  # for most of its time: it runs beside those that keep the processors busy
    judge: typing.Callable = results.verdict


@dataclasses.dataclass
class Outcome:
    job: Job
    cases: list
    seconds: float

    def count(self, outcome):
        return sum(case.outcome == outcome for case in self.cases)


running = set()  # the processes whose end is waited for


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(job, output_path):
    started = time.monotonic()
    timed_out = False
    # Output goes to a file, not to a pipe: a child that is left over must not keep the runner waiting.
    with open(output_path, "wb") as output:
        process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   cwd=job.folder, env={**os.environ, **job.environment}, start_new_session=True)
        running.add(process)
        try:
            status = process.wait(job.timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            end_group(process)
            status = process.wait()
        end_group(process)
        running.discard(process)
    with open(output_path, encoding="utf-8", errors="replace") as output:
        text = output.read()
    return Outcome(job, job.judge(text, status, timed_out), time.monotonic() - started)


def run_side_by_side(lanes, done):
    """Each lane is (numbered jobs, how many of them at a time)."""
    pools = [concurrent.futures.ThreadPoolExecutor(workers) for _, workers in lanes]
    futures = [pool.submit(run, job, path) for pool, (numbered, _) in zip(pools, lanes) for job, path in numbered]
    try:
        for future in concurrent.futures.as_completed(futures):
            done(future.result())
            yield future.result()
    except KeyboardInterrupt:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            end_group(process)
        raise
    finally:
        for pool in pools:
            pool.shutdown()


def run_all(jobs, workers, folder, done):
    """Runs the jobs that may run side by side, those that wait in a lane of their own, then the others; calls done(outcome) as each ends."""
    numbered = [(job, os.path.join(folder, f"{number}.out")) for number, job in enumerate(jobs)]
    busy = [each for each in numbered if not each[0].alone and not each[0].waits]
    waiting = [each for each in numbered if not each[0].alone and each[0].waits]
    by_itself = [each for each in numbered if each[0].alone]
    return [*run_side_by_side([(busy, workers), (waiting, 1)], done), *run_side_by_side([(by_itself, 1)], done)]
