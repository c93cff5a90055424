#!/usr/bin/env bash
# Installs the Debian packages that a step needs and this machine lacks: debian.sh build|demo|test
#
# build: what setup can not do without. demo: a real Orthanc as one provider's own archive (left out when it can not
# be installed). test: a browser and the foreign DICOM programs that the tests talk to.
# Only as root; otherwise it says what to install. Freshly installed services are not started.
set -euo pipefail

build=() wanted=()
python3 -c 'import venv, ensurepip' 2>/dev/null || build+=(python3 python3-venv)
command -v npm >/dev/null || build+=(npm)
case "${1:?build, demo or test}" in
    build) ;;
    demo) wanted=(orthanc orthanc-dicomweb) ;;
    test) wanted=(chromium libatomic1 dcmtk orthanc orthanc-dicomweb git curl strace logrotate fonts-dejavu-core) ;;
    *) echo "debian.sh: unknown step $1" >&2; exit 2 ;;
esac

missing=("${build[@]}")
for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing on this machine: ${missing[*]}" >&2
    echo "Install with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    [ "$1" = demo ] && [ ${#build[@]} -eq 0 ] && { echo "The demo goes on without them." >&2; exit 0; }
    exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
echo "Installing from Debian: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    [ "$1" = demo ] && [ ${#build[@]} -eq 0 ] && { echo "The demo goes on without them." >&2; exit 0; }
    exit 1
fi
rm -f "$log"
