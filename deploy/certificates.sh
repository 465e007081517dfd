#!/usr/bin/env bash
# Makes the certificates that nodes of a fleet know each other by: an authority that signs for nothing else, and a pair for
# each node, which is both client and server.
#
#   deploy/certificates.sh DIR NAME[,NAME...]...
#   deploy/certificates.sh link identity-1.internal identity-2.internal edge-1.internal
#
# Each argument becomes DIR/NAME.pem and DIR/NAME.key, called by its first name and good for all of them. DIR/ca.pem goes to
# every node; DIR/ca.key stays where it is. What is there already is kept: run it again for one node more, and delete a pair
# to have it made anew. DAYS (825) is how long they are good.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
command -v openssl >/dev/null || { echo "certificates: openssl is not installed" >&2; exit 1; }
dir=$1 days=${DAYS:-825}
shift
umask 077
mkdir -p "$dir"

if [ ! -e "$dir/ca.key" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Portcullis fleet" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
fi
for names in "$@"; do
    first=${names%%,*}
    if [ -e "$dir/$first.pem" ]; then
        echo "certificates: $dir/$first.pem is there: kept" >&2
        continue
    fi
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$first" \
        -keyout "$dir/$first.key" -out "$dir/$first.csr" 2>/dev/null
    openssl x509 -req -in "$dir/$first.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
        -days "$days" -out "$dir/$first.pem" 2>/dev/null -extfile <(
        echo "basicConstraints=critical,CA:FALSE"
        echo "keyUsage=critical,digitalSignature"
        echo "extendedKeyUsage=serverAuth,clientAuth"
        echo "subjectAltName=DNS:${names//,/,DNS:}"
    )
    rm -f "$dir/$first.csr"
done
