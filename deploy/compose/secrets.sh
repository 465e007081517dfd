#!/usr/bin/env bash
# Makes what the fleet of compose.yaml needs to be its own: passwords, the master key, and certificates, in the folder
# `secrets` beside this file (or DIR). What is there already is kept. Without master.key the database cannot be read: keep it.
#
#   deploy/compose/secrets.sh [DIR]
#
# ALSO is one more name in every certificate, for a fleet without containers on one machine: ALSO=localhost.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/secrets}
also=${ALSO:+,$ALSO}
# The folder is for its owner. Its files are read by the users of the containers, which see them and not the folder.
umask 077
mkdir -p "$dir"
umask 022

secret() { [ -e "$dir/$1" ] || openssl rand -hex 32 > "$dir/$1"; }
secret master.key
secret database.password
secret redis.password

[ -e "$dir/redis.acl" ] || cat > "$dir/redis.acl" <<ACL
user default off
user gateway on >$(cat "$dir/redis.password") ~portcullis:* &portcullis:* -@all +@read +@write +@scripting +@pubsub +@connection +time +cluster
ACL

"$here/../certificates.sh" "$dir/link" "identity-1,identity-2$also" "edge$also"
"$here/../certificates.sh" "$dir/servers" "database$also" "redis$also"
chmod -R a+rX "$dir"/link "$dir"/servers
chmod 0600 "$dir"/link/ca.key "$dir"/servers/ca.key
