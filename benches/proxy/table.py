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
    print(f"{'case':<8} {'access log':<11} {'bare µs':>8} {'portcullis µs':>14} {'ratio':>7} {'bare req/s':>11} {'portcullis req/s':>17}")
    middle = statistics.median
    for case in ("public", "jwt", "key"):
        for who, log in (("logging", "on"), ("silent", "off")):
            bare, ours = cpu[case, "bare"], cpu[case, who]
            # Each round against its own neighbour: a busy moment of the machine then falls on both.
            ratio = middle(b / a for a, b in zip(bare, ours))
            print(
                f"{case:<8} {log:<11} {middle(bare):>8.2f} {middle(ours):>14.2f} {ratio:>7.3f}"
                f" {middle(rate[case, 'bare']):>11.0f} {middle(rate[case, who]):>17.0f}"
            )


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(*sys.argv[2:])
    else:
        show(sys.argv[2])
