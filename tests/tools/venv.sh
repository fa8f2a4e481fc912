#!/usr/bin/env bash
# Make .lab/venv hold what requirements.txt and requirements-dev.txt name. Instant when it already does.
# Needs a Python of 3.11 or newer with venv; on a Debian where that is missing, root gets it by apt-get.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=.lab/venv
say() { printf '==> %s\n' "$*"; }

find_python() {
    local name
    for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        [ -n "$name" ] || continue
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed and none was found; on Debian 12: apt-get install python3 python3-venv" >&2
    return 1
}

mkdir -p .lab
exec 9>.lab/venv.lock
flock 9

# The collection's tree as Ansible wants it, for running from the checkout.
mkdir -p .lab/src/ansible_collections/cloudexit
[ -L .lab/src/ansible_collections/cloudexit/flexible_engine ] ||
    ln -s ../../../.. .lab/src/ansible_collections/cloudexit/flexible_engine

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    wanted=$( (cat requirements.txt requirements-dev.txt; "$venv/bin/python" -V) | sha256sum | cut -c1-16)
    [ -e "$venv/.stamp-$wanted" ] && exit 0
else
    python=$(find_python)
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        root=()
        [ "$(id -u)" = 0 ] || root=(sudo -n)
        if command -v apt-get >/dev/null && "${root[@]}" true 2>/dev/null; then
            say "installing python3-venv (apt-get)"
            "${root[@]}" apt-get update -qq
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        else
            echo "this Python has no venv module; as root: apt-get install python3-venv" >&2
            exit 1
        fi
    fi
    say "making $venv with $("$python" -V)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    wanted=$( (cat requirements.txt requirements-dev.txt; "$venv/bin/python" -V) | sha256sum | cut -c1-16)
fi

say "installing requirements.txt and requirements-dev.txt into $venv"
start=$SECONDS
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
rm -f "$venv"/.stamp-*
touch "$venv/.stamp-$wanted"
say "$venv is ready ($((SECONDS - start)) s)"
