#!/bin/sh
# install.sh in a clean Debian tree: dry run, installation with a broker that asks for a login, a verdict, again, upgrade, removal.
# Usage: install_script.sh [WHEEL]     without a wheel it installs the checkout; OPTIONS in the environment go to install.sh
set -eu
# shellcheck source=deploy/test/tree.sh
. "$(dirname "$0")/tree.sh"
need mmdebstrap mosquitto mosquitto_sub setpriv
scratch_directory
tree=$scratch/tree
make_tree "$tree"
connect_tree "$tree"
mkdir "$tree/root/genrewatch"
tar -c -C "$checkout" pyproject.toml README.md LICENSE edge trainer export deploy | tar -x -C "$tree/root/genrewatch"
wheel=""
if [ $# -gt 0 ]; then cp "$1" "$tree/root/"; wheel="--wheel /root/$(basename "$1")"; fi
start_broker

# The script with a login in the environment. Output also goes to $scratch/output.
install_sh() {
    # shellcheck disable=SC2086  # an option and its value
    in_tree "$tree" "GENREWATCH_MQTT_PASSWORD=$given" sh /root/genrewatch/deploy/install.sh ${OPTIONS:-} $wheel "$@" \
        >"$scratch/output" 2>&1 || { cat "$scratch/output" >&2; fail "install.sh $* ended with an error"; }
}
files() { (cd "$tree" && find etc opt usr var -type f | sort | xargs -d '\n' sha256sum | sha256sum); }
expect() { grep -q -- "$1" "$scratch/output" || { cat "$scratch/output" >&2; fail "install.sh did not print '$1'"; }; }

before=$(files)
given=$broker_password
install_sh --dry-run --broker "$broker" --username "$broker_user"
[ "$(files)" = "$before" ] || fail "--dry-run changed files"
! grep -qF "$broker_password" "$scratch/output" || fail "--dry-run printed the password"
say "--dry-run changes nothing, $(seconds)"

install_sh --broker "$broker" --username "$broker_user" --source demo:
expect "^ok *access"
! grep -q "^wrong" "$scratch/output" || { cat "$scratch/output" >&2; fail "doctor found something wrong"; }
! grep -qF "$broker_password" "$scratch/output" || fail "the password was printed"
say "installed, doctor as the service's user finds nothing wrong: $(du -sm "$tree" | cut -f 1) MB in all," \
    "$(du -sm "$tree/opt/genrewatch" | cut -f 1) MB in /opt/genrewatch, $(seconds)"
[ -n "$(find "$tree/etc/genrewatch.mqtt-password" -perm 0600)" ] || fail "others may read the password"
in_tree "$tree" genrewatch --version >/dev/null || fail "genrewatch is not on the PATH"

in_tree "$tree" sh /root/genrewatch/deploy/test/as_unit.sh /etc/systemd/system/genrewatch.service >"$scratch/listen" 2>&1 &
unit_pid=$!
expect_verdict || { cat "$scratch/listen" >&2; exit 1; }
end_daemon "$unit_pid"

echo '# a line of the owner' >>"$tree/etc/genrewatch.toml"
given=""
install_sh
expect "configuration: .* stays"
expect "login: .* stays"
expect "packages: all there"
install_sh --upgrade
grep -q '^# a line of the owner' "$tree/etc/genrewatch.toml" || fail "the configuration was overwritten"
expect "^ok *access"
say "run again and with --upgrade: configuration and login stay, $(seconds)"

install_sh --uninstall
[ -e "$tree/etc/genrewatch.toml" ] || fail "--uninstall removed the configuration"
[ ! -e "$tree/opt/genrewatch" ] || fail "--uninstall left the environment"
install_sh --uninstall --purge
left=$(cd "$tree" && find etc opt usr/local var/lib -name '*genrewatch*' ! -path 'var/lib/dpkg/*')
[ -z "$left" ] || fail "--purge left $left"
say "passed: nothing is left after --uninstall --purge, $(seconds)"
