"""Keeps the runs of one comparison and prints their medians.

record FILE WHO CASE CPU_BEFORE CPU_AFTER WRK_REPORT | print FILE
"""

import re
import statistics
import sys
from collections import defaultdict


def record(path, who, case, before, after, report):
    with open(report, encoding="utf-8") as lines:
        text = lines.read()
    requests = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: .*", text)
    if wrong or errors or requests == 0:
        sys.exit(f"{who} {case}: not every answer was good\n{text}")
    cpu = (int(after) - int(before)) / requests
    with open(path, "a", encoding="utf-8") as runs:
        print(who, case, cpu, rate, sep="\t", file=runs)


def show(path):
    cpu, rate = defaultdict(list), defaultdict(list)
    with open(path, encoding="utf-8") as runs:
        for who, case, one, other in (line.split("\t") for line in runs):
            cpu[case, who].append(float(one))
            rate[case, who].append(float(other))
    print(f"{'case':<8} {'bare µs':>9} {'portcullis µs':>14} {'ratio':>7} {'bare req/s':>11} {'portcullis req/s':>17}")
    for case in ("public", "jwt", "key"):
        bare, ours = cpu[case, "bare"], cpu[case, "portcullis"]
        # Each round against its own neighbour: a busy moment of the machine then falls on both.
        ratio = statistics.median(b / a for a, b in zip(bare, ours))
        print(
            f"{case:<8} {statistics.median(bare):>9.2f} {statistics.median(ours):>14.2f} {ratio:>7.3f}"
            f" {statistics.median(rate[case, 'bare']):>11.0f} {statistics.median(rate[case, 'portcullis']):>17.0f}"
        )


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(*sys.argv[2:])
    else:
        show(sys.argv[2])
