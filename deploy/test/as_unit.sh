#!/bin/sh
# Starts a unit's command as systemd would, where systemd does not run: its user, its login, its state directory.
# Usage: as_unit.sh UNIT-FILE
set -eu
unit=$1 user=genrewatch state=/var/lib/genrewatch
install -d -m 0700 -o "$user" -g "$user" "$state"
credentials=$(mktemp -d)
chmod 0755 "$credentials"
sed -n 's/^LoadCredential=//p' "$unit" | while IFS=: read -r name file; do
    [ ! -e "$file" ] || install -m 0400 -o "$user" -g "$user" "$file" "$credentials/$name"
done
export CREDENTIALS_DIRECTORY="$credentials"
export STATE_DIRECTORY=$state
unset HOME
# shellcheck disable=SC2046  # program and arguments
exec setpriv --reuid "$user" --regid "$user" --init-groups -- $(sed -n 's/^ExecStart=//p' "$unit")
