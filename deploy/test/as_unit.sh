#!/bin/sh
# Starts a unit's command as systemd would, where systemd does not run: its user, its login, its state directory.
# Usage: as_unit.sh UNIT-FILE
set -eu
unit=$1 user=genrewatch state=/var/lib/genrewatch
install -d -m 0700 -o "$user" -g "$user" "$state"
environment=$(sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$unit")
if [ -n "$environment" ] && [ -e "$environment" ]; then
    # systemd's quoting of these files is the shell's, for what install.sh writes
    set -a
    # shellcheck disable=SC1090
    . "$environment"
    set +a
fi
export STATE_DIRECTORY=$state
unset HOME
# shellcheck disable=SC2046  # program and arguments
exec setpriv --reuid "$user" --regid "$user" --init-groups -- $(sed -n 's/^ExecStart=//p' "$unit")
