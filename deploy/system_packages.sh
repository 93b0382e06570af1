#!/bin/sh
# Installs the named Debian packages that are missing, where it may; else one line says which to install.
# Usage: system_packages.sh PACKAGE...
set -eu

missing=""
for package in "$@"; do
    case "$package" in
        libportaudio2) ldconfig -p 2>/dev/null | grep -q 'libportaudio\.so\.2' || missing="$missing $package" ;;
        mosquitto-clients) command -v mosquitto_sub >/dev/null || missing="$missing $package" ;;
        mosquitto) command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing="$missing $package" ;;
        prometheus) command -v promtool >/dev/null || missing="$missing $package" ;;
        python3-venv) python3 -c 'import ensurepip' 2>/dev/null || missing="$missing $package" ;;
        *) command -v "$package" >/dev/null || missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n env DEBIAN_FRONTEND=noninteractive"  # which sudo would not pass on
else
    as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "missing system packages:$missing (on Debian: sudo apt-get install$missing)" >&2
    exit 1
fi
echo "installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq >/dev/null
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
