"""Prints the medians of one run of run.sh: FILE [MOST]. Fails where leased costs more than MOST times local."""

import statistics
import sys
from collections import defaultdict

path, most = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else None
cpu = defaultdict(list)
with open(path, encoding="utf-8") as runs:
    for across, case, one, _ in (line.split("\t") for line in runs):
        cpu[case, across].append(float(one))

print(f"{'case':<8} {'local µs':>9} {'leased µs':>10} {'ratio':>7} {'from':>7} {'to':>7}")
middle, dear = statistics.median, []
for case in ("client", "key"):
    local, leased = cpu[case, "local"], cpu[case, "leased"]
    # Each round against its own neighbour: a busy moment of the machine then falls on both.
    ratios = sorted(b / a for a, b in zip(local, leased))
    ratio = middle(ratios)
    print(f"{case:<8} {middle(local):>9.2f} {middle(leased):>10.2f} {ratio:>7.3f} {ratios[0]:>7.3f} {ratios[-1]:>7.3f}")
    if most and ratio > most:
        dear.append(case)
if dear:
    sys.exit(f"leased costs more than {most} times local: {', '.join(dear)}")
