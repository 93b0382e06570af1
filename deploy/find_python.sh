#!/bin/sh
# Prints the path of a Python of the named minor version: of the PATH, of pyenv, or installed by uv; exit code 1 without one.
# Usage: find_python.sh 3.13
set -eu
version=$1
for candidate in "python$version" "$HOME/.pyenv/versions/$version".*/bin/python; do
    if "$candidate" -c '' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
if command -v uv >/dev/null && uv python install --quiet "$version" 2>/dev/null; then
    uv python find "$version"
    exit 0
fi
echo "no Python $version on the PATH, in pyenv or by uv" >&2
exit 1
