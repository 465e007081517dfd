#!/bin/sh
# Scans a listener of a gateway with sslyze, against Mozilla's modern profile. Prints what does not comply; a certificate
# that signs itself is all that may be there.
#
#     scripts/tls-scan.sh [PORTCULLIS]
#
# Needs openssl, and sslyze on the PATH (pip install sslyze).
set -eu

program=${1:-target/debug/portcullis}
port=${PORT:-18443}
dir=$(mktemp -d)
trap 'kill "$gateway" 2>/dev/null || true; rm -rf "$dir"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 80 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$dir/a.key" -out "$dir/a.pem" 2>/dev/null
cat >"$dir/portcullis.toml" <<TOML
version = 1
[data]
dir = "data"
[internal]
address = false
[[listener]]
name = "public"
address = "127.0.0.1:$port"
tls = { certificates = [{ cert = "a.pem", key = "a.key" }], min_version = "1.3" }
[[mount]]
name = "tmws"
dialect = "tmws"
TOML

"$program" serve --config "$dir/portcullis.toml" >"$dir/log" 2>&1 &
gateway=$!
i=0
until openssl s_client -connect "127.0.0.1:$port" -servername localhost </dev/null >/dev/null 2>&1; do
    i=$((i + 1))
    [ $i -lt 100 ] || { cat "$dir/log"; exit 1; }
    sleep 0.1
done

sslyze --mozilla_config modern "localhost:$port" >"$dir/report" || true
told=$(sed -n '/FAILED - Not compliant/,/^$/p' "$dir/report")
# What a certificate that signs itself cannot have.
faults=$(printf '%s\n' "$told" | grep '^ *\* ' | grep -v certificate_path_validation || true)
grep -q 'Not compliant\|OK - Compliant' "$dir/report" || { echo "no verdict:"; cat "$dir/report"; exit 1; }
[ -z "$faults" ] || { echo "$faults"; exit 1; }
echo "modern profile: nothing but the certificate that signs itself"
