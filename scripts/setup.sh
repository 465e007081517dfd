#!/usr/bin/env bash
# Makes sure the system packages are there that building, testing or the demo need. Idempotent: does nothing if nothing is missing.
#
#   scripts/setup.sh build|test|fleet|programs|security|deploy
#
# Missing ones are installed through the system's package manager where we may (root, or sudo without a password); else one message names them.
set -euo pipefail

purpose=${1:-test}
required=(cc cmake cargo)
# Tests use them where they are; a test without its tool says so and is not counted as run.
wanted=()
# These are not installed for the tests alone: scripts/programs.sh does that.
used=()
case $purpose in
    build) ;;
    test)
        required+=(curl jq python3)
        wanted=(sqlite3 promtool systemd-analyze postgres redis-server)
        used=(node go chromium)
        ;;
    fleet) required+=(curl jq python3 postgres redis-server) ;;
    programs) required+=(curl jq python3 python3-venv node npm go chromium) ;;
    security) required+=(python3 python3-venv node npm nginx apache2 haproxy gunicorn) ;;
    deploy) required+=(python3 python3-venv openssl) ;;
    *) echo "setup: build, test, fleet, programs, security or deploy, not \"$purpose\"" >&2; exit 2 ;;
esac

missing() {
    for tool in "$@"; do
        case $tool in
            # Debian puts it where no PATH leads to.
            postgres) ls "$(command -v postgres)" /usr/lib/postgresql/*/bin/postgres 2>/dev/null | grep -q . && command -v psql >/dev/null 2>&1 || echo "$tool" ;;
            # Debian ships Python without it.
            python3-venv) python3 -c 'import ensurepip' >/dev/null 2>&1 || echo "$tool" ;;
            *) command -v "$tool" >/dev/null 2>&1 || echo "$tool" ;;
        esac
    done
}
# The package of a tool: apt, dnf, apk, pacman.
package() {
    case $manager:$1 in
        apt:cc) echo build-essential ;;
        apk:cc) echo build-base ;;
        pacman:cc) echo base-devel ;;
        *:cc) echo gcc ;;
        *:node) echo nodejs ;;
        apt:go) echo golang-go ;;
        dnf:go) echo golang ;;
        pacman:python3) echo python ;;
        dnf:sqlite3 | apk:sqlite3 | pacman:sqlite3) echo sqlite ;;
        dnf:promtool) echo golang-github-prometheus ;;
        *:promtool) echo prometheus ;;
        *:systemd-analyze) echo systemd ;;
        dnf:postgres) echo postgresql-server ;;
        *:postgres) echo postgresql ;;
        apt:redis-server) echo redis-server ;;
        *:redis-server) echo redis ;;
        *) echo "$1" ;;
    esac
}
install() {
    case $manager in
        apt)
            export DEBIAN_FRONTEND=noninteractive
            $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "$@"
            ;;
        dnf) $as_root dnf install -y -q "$@" ;;
        apk) $as_root apk add --quiet "$@" ;;
        pacman) $as_root pacman -Sy --noconfirm --needed --quiet "$@" ;;
    esac
}

manager=
for candidate in apt-get dnf apk pacman; do
    if command -v "$candidate" >/dev/null 2>&1; then
        manager=${candidate%-get}
        break
    fi
done
as_root=
allowed=no
if [ "$(id -u)" = 0 ]; then
    allowed=yes
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
    allowed=yes
fi

mapfile -t lacking < <(missing "${required[@]}" "${wanted[@]}" | grep -vx cargo || true)
if [ "${#lacking[@]}" -gt 0 ] && [ -n "$manager" ] && [ "$allowed" = yes ]; then
    echo "setup: installing ${lacking[*]} with $manager" >&2
    for tool in "${lacking[@]}"; do
        # One by one: a name this system does not know must not keep the others out.
        install "$(package "$tool")" >&2 || echo "setup: $manager could not install $(package "$tool")" >&2
    done
    # Servers are started by the tests, on ports and with files of their own.
    if [ "$manager" = apt ]; then
        for server in nginx apache2 haproxy postgres redis-server; do
            printf '%s\n' "${lacking[@]}" | grep -qx "$server" || continue
            $as_root systemctl disable --now "$(package "$server")" >/dev/null 2>&1 || true
        done
    fi
    # The monitoring server comes with its checker; only the checker is wanted.
    if [ "$manager" = apt ] && printf '%s\n' "${lacking[@]}" | grep -qx promtool; then
        $as_root systemctl disable --now prometheus >/dev/null 2>&1 || true
    fi
fi

mapfile -t lacking < <(missing "${required[@]}")
if [ "${#lacking[@]}" -gt 0 ]; then
    echo "setup: please install, then try again: ${lacking[*]} (cargo comes with https://rustup.rs; cc is any C compiler)" >&2
    exit 1
fi
mapfile -t lacking < <(missing "${wanted[@]}" "${used[@]}")
if [ "${#lacking[@]}" -gt 0 ]; then
    echo "setup: not there, so the checks that use them are left out: ${lacking[*]}" >&2
fi
