#!/usr/bin/env bash
# Audits the dependencies. The advisory database is ADVISORY_DB, else a copy kept in .tools and refreshed once a day.
set -euo pipefail
cd "$(dirname "$0")/.."

database=${ADVISORY_DB:-.tools/advisory-db}
if [ -z "${ADVISORY_DB:-}" ] && [ -z "$(find .tools -maxdepth 1 -name advisory-db -mtime -1 2>/dev/null)" ]; then
    mkdir -p .tools
    rm -rf .tools/advisory-db.new
    if git clone --quiet --depth 1 https://github.com/rustsec/advisory-db .tools/advisory-db.new; then
        rm -rf .tools/advisory-db
        mv .tools/advisory-db.new .tools/advisory-db
        touch .tools/advisory-db
    elif [ -d .tools/advisory-db ]; then
        echo "audit: no newer advisories to be had, using those of $(date -r .tools/advisory-db +%F)" >&2
    else
        echo "audit: no advisories to be had; name a copy of https://github.com/rustsec/advisory-db in ADVISORY_DB" >&2
        exit 1
    fi
fi
python3 scripts/audit.py "$database"
if command -v cargo-deny >/dev/null; then
    cargo deny --locked --offline check bans licenses sources
else
    echo "audit: cargo-deny is not installed; the same file was checked by scripts/audit.py" >&2
fi
