#!/usr/bin/env bash
# Puts the token verifiers of other people that the tests compare ours with under target/verifiers. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."

pyjwt=2.15.1 joserfc=1.8.0 cryptography=50.0.2 jose=6.2.17
home=target/verifiers
wanted="$pyjwt $joserfc $cryptography $jose"
[ "$(cat "$home/versions" 2>/dev/null || true)" = "$wanted" ] && exit 0
for tool in python3 npm; do
    command -v "$tool" >/dev/null || { echo "verifiers: $tool is not installed" >&2; exit 1; }
done
rm -rf "$home"
mkdir -p "$home"
python3 -m venv "$home/python"
"$home/python/bin/pip" install --quiet --disable-pip-version-check "pyjwt==$pyjwt" "joserfc==$joserfc" "cryptography==$cryptography"
npm install --silent --no-audit --no-fund --prefix "$home/node" "jose@$jose"
echo "$wanted" > "$home/versions"
