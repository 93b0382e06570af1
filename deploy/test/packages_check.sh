#!/bin/sh
# Runs the named ways in, each from a clean tree to a verdict on a broker, and counts what passed, failed and was skipped.
# Usage: packages_check.sh NAME...     the names of the scripts of this directory, as install_script
set -u
directory=$(dirname "$0")
GENREWATCH_TREES=$(mktemp -d "${TMPDIR:-/tmp}/genrewatch-trees.XXXXXX")
export GENREWATCH_TREES
trap 'rm -rf "$GENREWATCH_TREES"' EXIT
passed=0 skipped=0 failed=""
for name in "$@"; do
    sh "$directory/$name.sh"
    case $? in
        0) passed=$((passed + 1)) ;;
        77) skipped=$((skipped + 1)) ;;
        *) failed="$failed $name" ;;
    esac
done
echo "packages-check: $passed passed, $skipped skipped (each says why), failed:${failed:- none}"
[ -z "$failed" ]
