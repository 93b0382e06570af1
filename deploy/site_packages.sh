#!/bin/sh
# Lays out genrewatch and what it needs for a Debian architecture and a Python version, natively and without emulation.
# Usage: site_packages.sh WHEEL ARCHITECTURE PYTHON-VERSION DIRECTORY     as genrewatch.whl arm64 3.11 site-packages
# Parts that the device never uses are left out: tests, accelerators and compilers of ai-edge-litert (it runs on the CPU), headers.
set -eu
wheel=$1 architecture=$2 version=$3 directory=$4
case $architecture in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) echo "site_packages.sh: no wheels for $architecture, only for amd64 and arm64" >&2; exit 2 ;;
esac
python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$directory" --python-version "$version" \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" --only-binary :all: "$wheel"
cd "$directory"
find . -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf bin numpy/_core/*_tests.*.so numpy/_core/include numpy/f2py numpy/distutils
cd ai_edge_litert
rm -rf tools vendors aot libLiteRt.so libLiteRtWebGpuAccelerator.so
