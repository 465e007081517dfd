#!/usr/bin/env bash
# Puts the packages that client programs stand on under target/programs: the tests of the contracts play such programs. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."

python=(django==5.2.19 flask==3.1.3 fastapi==0.165.0 uvicorn==0.54.0 requests==2.34.2 httpx==0.28.1 pyjwt==2.15.1 aiohttp==3.14.5 authlib==1.9.9 cryptography==50.0.2)
# The oldest and the newest that are published; the library imports fastapi without asking for it.
inkpass=(0.1.2 0.2.0)
node=(axios@1.21.1 node-fetch@3.3.2 openid-client@6.8.9 oauth4webapi@3.8.8 jose@6.2.17 oidc-provider@9.13.3)

scripts/setup.sh programs
home=target/programs
wanted="${python[*]} inkpass-sdk ${inkpass[*]} ${node[*]}"
[ "$(cat "$home/versions" 2>/dev/null || true)" = "$wanted" ] && exit 0
rm -rf "$home"
mkdir -p "$home"
python3 -m venv "$home/python"
pip() { "$home/python/bin/python" -m pip "$@" --quiet --disable-pip-version-check; }
pip install "${python[@]}"
for version in "${inkpass[@]}"; do
    pip install --target "$home/inkpass/$version" "inkpass-sdk==$version" "${python[2]}"
done
npm install --silent --no-audit --no-fund --prefix "$home/node" "${node[@]}"
# Last: the tests take it for the sign that everything is there.
echo "$wanted" > "$home/versions"
