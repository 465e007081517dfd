"""Holds the dependencies against an advisory database (RustSec's format) and against deny.toml: licences, bans, sources.

    audit.py DATABASE

Exit code 1 if a locked version has an open advisory, or a crate has a licence that is not allowed, is banned, or comes from
another registry. Advisories listed under [advisories] ignore in deny.toml are shown and do not count; several versions of
one crate are only shown. `cargo deny check` reads the same file and is run as well where it is installed (audit.sh). Needs
Python 3.11 and cargo; no network.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
OPERATORS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
}


def version(text):
    """A sortable form of a semantic version: a pre-release comes before its release."""
    core, _, pre = text.strip().partition("+")[0].partition("-")
    numbers = [int(part) for part in core.split(".")]
    numbers += [0] * (3 - len(numbers))
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")] if pre else []
    return (*numbers, not pre, parts)


def fits(requirement, found):
    """Whether a version fulfils every comparator of a requirement such as `>= 1.2, < 2` or `^0.4.1`."""
    for comparator in requirement.split(","):
        operator, text = re.fullmatch(r"\s*([<>=^~]*)\s*([0-9A-Za-z.+-]+)\s*", comparator).groups()
        wanted = version(text)
        if operator in OPERATORS:
            if not OPERATORS[operator](found, wanted):
                return False
            continue
        # Caret, tilde or bare: up to the next number that may not change.
        given = len(text.split("-")[0].split("."))
        if operator == "~":
            fixed = 1 if given == 1 else 2
        else:
            fixed = next((i + 1 for i in range(given) if wanted[i]), given)
        if found < wanted or found[:fixed] != wanted[:fixed]:
            return False
    return True


def advisories(database, package):
    for path in sorted((database / "crates" / package).glob("*.md")):
        front = re.match(r"```toml\n(.*?)\n```", path.read_text(encoding="utf-8"), re.DOTALL)
        yield tomllib.loads(front[1])


def open_advisories(database, locked):
    for package in locked:
        found = version(package["version"])
        for entry in advisories(database, package["name"]):
            advisory, versions = entry["advisory"], entry.get("versions", {})
            safe = versions.get("patched", []) + versions.get("unaffected", [])
            if advisory.get("withdrawn") or any(fits(requirement, found) for requirement in safe):
                continue
            yield package, advisory


def allowed_licence(expression, allowed):
    """Evaluates an SPDX expression: OR chooses, AND demands, WITH belongs to its name."""
    text = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    text = re.sub(r"(\S+) WITH (\S+)", r"\1~WITH~\2", text)
    words = [
        word.lower() if word in ("AND", "OR") else word if word in "()" else str(word.replace("~", " ") in allowed)
        for word in text.split()
    ]
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # only True, False, and, or, brackets


def main():
    database = Path(sys.argv[1])
    if not (database / "crates").is_dir():
        sys.exit(f"audit: {database} is no advisory database")
    policy = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
    ignored = {e["id"] if isinstance(e, dict) else e for e in policy["advisories"]["ignore"]}
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    locked = [p for p in packages if p.get("source")]

    bad = 0
    for package, advisory in open_advisories(database, locked):
        kind = advisory.get("informational", "vulnerability")
        counts = advisory["id"] not in ignored and kind != "notice"
        bad += counts
        label = "OPEN" if counts else "ignored"
        print(f"{label}: {advisory['id']} ({kind}) {package['name']} {package['version']} {advisory.get('url', '')}")

    allowed = set(policy["licenses"]["allow"])
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    crates = json.loads(metadata.stdout)["packages"]
    for crate in crates:
        if not allowed_licence(crate["license"] or "none", allowed):
            bad += 1
            print(f"LICENCE: {crate['name']} {crate['version']}: {crate['license']}")

    banned = {entry["crate"]: entry["reason"] for entry in policy["bans"]["deny"]}
    for package in packages:
        source = package.get("source")
        if package["name"] in banned:
            bad += 1
            print(f"BANNED: {package['name']}: {banned[package['name']]}")
        if source and source != REGISTRY and source not in policy["sources"]["allow-git"]:
            bad += 1
            print(f"SOURCE: {package['name']} comes from {source}")
    built = Counter(crate["name"] for crate in crates)
    twice = ", ".join(f"{name} {count}" for name, count in sorted(built.items()) if count > 1)
    print(f"in several versions: {twice}")
    print(f"audit: {len(locked)} locked packages, {len(crates)} built here, {bad} faults")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
