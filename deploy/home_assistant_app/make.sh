#!/bin/sh
# Makes the directory of the app: copy it to /addons of Home Assistant, then install it below "Local apps".
# Usage: make.sh DIRECTORY
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
directory=$1/genrewatch
mkdir -p "$directory/deploy"
cp -r "$here/config.yaml" "$here/apparmor.txt" "$here/DOCS.md" "$here/translations" "$here/icon.png" "$here/logo.png" "$here/run.py" \
    "$directory/"
cp "$root/CHANGELOG.md" "$root/README.md" "$root/LICENSE" "$root/pyproject.toml" "$directory/"
cp -r "$root/edge" "$root/trainer" "$root/export" "$directory/"
cp -r "$root/deploy/site_packages.sh" "$root/deploy/container" "$directory/deploy/"
# The image, started as root by the supervisor, whose files are root's; run.py goes on as another user.
{
    cat "$root/deploy/Containerfile"
    printf 'USER 0:0\nCOPY run.py /run.py\nHEALTHCHECK NONE\nENTRYPOINT ["/usr/bin/python3", "-I", "/run.py"]\nCMD []\n'
} >"$directory/Dockerfile"
find "$directory" -name __pycache__ -type d -prune -exec rm -rf {} +
