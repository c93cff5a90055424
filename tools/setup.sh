#!/usr/bin/env bash
# Makes .venv with the locked dependencies and this project, and the browser's parts. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

bash tools/debian.sh build

find_python() {
    for name in python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "Samsyn needs Python 3.11 or newer." >&2
    return 1
}

python=.venv/bin/python
if ! "$python" -c '' 2>/dev/null; then
    found=$(find_python)
    echo "Making .venv with $("$found" --version)"
    "$found" -m venv .venv
fi

stamp=.venv/samsyn-installed
wanted=$(cat requirements-dev.lock pyproject.toml | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
    echo "Installing $(grep -c '==' requirements-dev.lock) locked packages into .venv"
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    printf '%s\n' "$wanted" >"$stamp"
fi

"$python" tools/vendor.py
