"""What `holdfast run NAME -- true` costs a crontab line, against `flock FILE true`, without a daemon and beside one."""
import os
import statistics
import subprocess
import time

HOLDFAST = os.environ["HOLDFAST"]
DATA = os.path.abspath("data")
ROUNDS = 7
STARTS = 20


def run_ms(words):
    """For one start, when many are made one after the other."""
    start = time.perf_counter()
    for _ in range(STARTS):
        pid = os.posix_spawn(words[0], words, os.environ)
        _, status = os.waitpid(pid, 0)
        assert status == 0, (words, status)
    return (time.perf_counter() - start) * 1000 / STARTS


def compare(name, ours):
    limit = ["/usr/bin/flock", os.path.abspath("lock"), "true"]
    run_ms(ours), run_ms(limit)
    pairs = [(run_ms(ours), run_ms(limit)) for _ in range(ROUNDS)]
    value, bound = (statistics.median(column) for column in zip(*pairs))
    print(f"{name} {value:.2f} ms {bound:.2f} {value / bound:.2f}", flush=True)


def main():
    ours = [HOLDFAST, "--data", DATA, "run", "bench", "--", "true"]
    compare("run_alone", ours)
    daemon = subprocess.Popen([HOLDFAST, "--data", DATA, "serve", "--listen", "none"], stdout=subprocess.PIPE)
    try:
        assert daemon.stdout.readline()
        compare("run_daemon", ours)
    finally:
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    main()
