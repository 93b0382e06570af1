#!/bin/sh
# The wheel by `uv tool install` and by `pipx install`, whichever is there, into directories of their own; a verdict on a broker.
# Usage: python_tools.sh [WHEEL]     PYTHON names another Python (default python3)
set -eu
# shellcheck source=deploy/test/tree.sh
. "$(dirname "$0")/tree.sh"
command -v mosquitto_sub >/dev/null || skip "needs the program mosquitto_sub"
tools=""
for tool in uv pipx; do
    if "$tool" --version >/dev/null 2>&1; then tools="$tools $tool"; else say "not run: $tool, which is not on this machine"; fi
done
[ -n "$tools" ] || skip "needs uv or pipx"
scratch_directory
python=$(command -v "${PYTHON:-python3}")
wheel=${1:-}
if [ -z "$wheel" ]; then
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$scratch" "$checkout" 2>/dev/null || skip "the wheel cannot be built"
    wheel=$(echo "$scratch"/genrewatch-*.whl)
fi
start_broker
export UV_TOOL_DIR="$scratch/uv" UV_TOOL_BIN_DIR="$scratch/uv-bin" PIPX_HOME="$scratch/pipx" PIPX_BIN_DIR="$scratch/pipx-bin"
for tool in $tools; do
    if [ "$tool" = uv ]; then set -- uv tool; else set -- pipx; fi
    "$@" install --quiet --python "$python" "$wheel" >"$scratch/install.log" 2>&1 ||
        { tail -n 5 "$scratch/install.log" >&2; fail "$tool could not install the wheel"; }
    say "$tool: $(du -sm "$scratch/$tool" | cut -f 1) MB with $("$python" -V), $(seconds)"
    GENREWATCH_STATE=$scratch/state GENREWATCH_MQTT_USERNAME=$broker_user GENREWATCH_MQTT_PASSWORD=$broker_password \
        "$scratch/$tool-bin/genrewatch" listen --source demo: --mqtt "$broker" --web none >"$scratch/listen" 2>&1 &
    listen_pid=$!
    expect_verdict
    kill "$listen_pid"
    wait "$listen_pid" || true
done
say "passed, $(seconds)"
