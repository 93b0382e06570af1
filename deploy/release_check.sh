#!/bin/sh
# Checks a release: version and changelog, wheel and sdist, and the wheel installed in an empty environment and run.
# Usage: release_check.sh PYTHON VENV     PYTHON makes the empty environment, VENV has the extra `dev`.
set -eu
python=$1 venv=$2
say() { echo "release-check: $*"; }
fail() { echo "release-check: $*" >&2; exit 1; }

version=$("$venv/bin/python" -c 'import genrewatch; print(genrewatch.__version__)')
grep -q "^## \[$version\]" CHANGELOG.md || fail "CHANGELOG.md: no section for $version, expected '## [$version] - DATE'"
say "version $version has its section in CHANGELOG.md"

rm -rf dist
"$venv/bin/python" -m build --outdir dist . >dist.log 2>&1 || { tail -20 dist.log >&2; fail "the build failed"; }
rm -f dist.log
"$venv/bin/twine" check --strict dist/*

wheel=$(ls dist/*.whl)
"$venv/bin/python" - "$wheel" <<'EOF'
import sys
import zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
roots = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
expected = {"genrewatch", "genrewatch_drill", "genrewatch_trainer", "genrewatch_export"}
assert roots == expected, f"top-level packages {sorted(roots)}, expected {sorted(expected)}"
for root in expected:
    assert f"{root}/py.typed" in names, f"{root}/py.typed is missing"
for file in ("bundles/gtzan-compact/model.tflite", "schema/state.schema.json", "sinks/web/page/index.html", "sinks/web/page/texts/de.json"):
    assert f"genrewatch/{file}" in names, f"genrewatch/{file} is missing"
print(f"release-check: {sys.argv[1]} holds {', '.join(sorted(roots))}")
EOF

empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
say "installing $wheel in an empty environment"
"$python" -m venv "$empty/venv"
"$empty/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
cd "$empty"
"$empty/venv/bin/python" -c 'import genrewatch, genrewatch_drill, genrewatch_trainer, genrewatch_export'
for top in edge trainer export; do
    "$empty/venv/bin/python" -c "import $top" 2>/dev/null && fail "the wheel installs a top-level package $top"
done
for command in genrewatch genrewatch-train genrewatch-export; do
    "$empty/venv/bin/$command" --version
done
"$empty/venv/bin/genrewatch" listen --source 'demo:?pace=max&loop=no' --mqtt none | grep -q classical ||
    fail "the installed command hears no music in the demo programme"
if command -v ffmpeg >/dev/null; then
    GENREWATCH_STATE="$empty/state" "$empty/venv/bin/genrewatch" drill --short
fi
say "passed"
