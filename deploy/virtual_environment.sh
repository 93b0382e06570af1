#!/bin/sh
# Makes a virtual environment and installs genrewatch into it with the named extras.
# Usage: virtual_environment.sh PYTHON DIRECTORY EXTRAS
set -eu
python=$1 directory=$2 extras=$3

command -v "$python" >/dev/null || {
    echo "no $python on the PATH, genrewatch needs Python 3.11 or later (make PYTHON=python3.13 ...)" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$python is $("$python" -V 2>&1), genrewatch needs Python 3.11 or later (make PYTHON=python3.13 ...)" >&2
    exit 1
}
if [ ! -x "$directory/bin/python" ]; then
    "$python" -c 'import ensurepip' 2>/dev/null || sh "$(dirname "$0")/system_packages.sh" python3-venv
    "$python" -m venv "$directory"
fi
echo "installing genrewatch[$extras] into $directory (a few minutes the first time)"
install="$directory/bin/python -m pip install --disable-pip-version-check --editable .[$extras]"
if [ -t 1 ]; then
    $install  # with pip's own progress bars
else
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    { $install 2>&1 || echo "pip failed"; } | tee "$log" |
        sed -un 's/^Collecting \([^ ]*\).*/  \1/p; s/^Installing collected packages.*/  unpacking all of them/p; /^ERROR/p'
    ! grep -q '^pip failed$' "$log" || { tail -5 "$log" >&2; exit 1; }
fi
