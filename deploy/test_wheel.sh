#!/bin/sh
# Builds the wheel, installs it (not editable) for another Python and runs the tests against what was installed.
# Usage: test_wheel.sh PYTHON VENV DIRECTORY [PYTEST ARGUMENTS...]     VENV has the extra `dev`; DIRECTORY gets the environment.
set -eu
python=$1 venv=$2 directory=$3
shift 3
rm -rf "$directory" dist
"$venv/bin/python" -m build --wheel --outdir dist . >/dev/null
wheel=$(ls dist/*.whl)
echo "test-wheel: $("$python" -V), installing $wheel in $directory"
"$python" -m venv "$directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel[demo,dev]"
"$directory/bin/python" - <<'EOF'
import genrewatch

assert "site-packages" in genrewatch.__file__, f"{genrewatch.__file__} is not the installed wheel"
print(f"test-wheel: testing {genrewatch.__file__}")
EOF
exec "$directory/bin/python" -m pytest "$@"
