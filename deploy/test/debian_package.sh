#!/bin/sh
# The Debian package: built, checked by lintian, installed in a clean tree, a verdict, an upgrade, removed and purged.
# Usage: debian_package.sh [WHEEL]     without a wheel it packages the checkout; OPTIONS in the environment go to apt-get install
set -eu
# shellcheck source=deploy/test/tree.sh
. "$(dirname "$0")/tree.sh"
need mmdebstrap mosquitto mosquitto_sub setpriv dpkg-deb
scratch_directory
tree=$scratch/tree
build() {
    # shellcheck disable=SC2086  # an option and its value
    TMPDIR=$scratch sh "$checkout/deploy/debian/build.sh" ${wheel:+--wheel "$wheel"} "$@" "$scratch" 2>"$scratch/build.log" ||
        { cat "$scratch/build.log" >&2; fail "the package could not be built"; }
}
wheel=${1:-}
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
package=$(build --release "$release")
describe() {
    say "$(basename "$1"): $(du -m "$1" | cut -f 1) MB, installed $(($(dpkg-deb -f "$1" Installed-Size) / 1024)) MB, $(seconds)"
}
describe "$package"
# a later version of the same, to upgrade to
dpkg-deb -R "$package" "$scratch/later"
sed -i 's/^Version: .*/&.1/' "$scratch/later/DEBIAN/control"
later=$scratch/later.deb
dpkg-deb --root-owner-group -Zgzip -z1 --build "$scratch/later" "$later" >/dev/null
rm -rf "$scratch/later"
if command -v lintian >/dev/null; then
    lintian --fail-on error "$package" >"$scratch/lintian" 2>&1 || { cat "$scratch/lintian" >&2; fail "lintian found errors"; }
    say "lintian: no errors, $(seconds)"
else
    say "not run: lintian, which is not on this machine"
fi

make_tree "$tree"
connect_tree "$tree"
cp "$package" "$later" "$checkout/deploy/test/as_unit.sh" "$tree/root/"
start_broker
apt() { in_tree "$tree" apt-get "$@" >"$scratch/apt.log" 2>&1 || { tail -n 20 "$scratch/apt.log" >&2; fail "apt-get $*"; }; }
apt update -qq
find "$tree" -xdev \( -path "$tree/var/cache" -o -path "$tree/var/log" -o -path "$tree/var/lib/apt" \) -prune -o -print |
    grep -E 'genrewatch' >"$scratch/before" || true
# shellcheck disable=SC2086  # options
apt install -y ${OPTIONS:-} "/root/$(basename "$package")"
say "installed: $(du -sm "$tree" | cut -f 1) MB in all, $(seconds)"
for file in usr/share/man/man1/genrewatch-listen.1.gz usr/share/bash-completion/completions/genrewatch \
    usr/lib/systemd/system/genrewatch.service etc/systemd/system/multi-user.target.wants/genrewatch.service; do
    [ -e "$tree/$file" ] || [ -L "$tree/$file" ] || [ "${file#usr/share/man}" != "$file" ] || fail "$file is missing"
done
in_tree "$tree" genrewatch --version >/dev/null || fail "genrewatch is not on the PATH"

sed -i "s|^url = .*|url = \"$broker\"|; s|^uri = .*|uri = \"demo:\"|" "$tree/etc/genrewatch.toml"
sed -i "s|^#username = .*|username = \"$broker_user\"|" "$tree/etc/genrewatch.toml"
(umask 077; printf '%s\n' "$broker_password" >"$tree/etc/genrewatch.mqtt-password")
in_tree "$tree" sh /root/as_unit.sh /usr/lib/systemd/system/genrewatch.service >"$scratch/listen" 2>&1 &
unit_pid=$!
expect_verdict || { cat "$scratch/listen" >&2; exit 1; }
end_daemon "$unit_pid"

# shellcheck disable=SC2086  # options
apt install -y ${OPTIONS:-} "/root/$(basename "$later")"
grep -q "url = \"$broker\"" "$tree/etc/genrewatch.toml" || fail "the upgrade changed the configuration"
say "upgraded: the configuration stays, $(seconds)"
apt remove -y genrewatch
[ -e "$tree/etc/genrewatch.toml" ] || fail "removal deleted the configuration"
[ -d "$tree/var/lib/genrewatch" ] || fail "removal deleted the history"
apt purge -y genrewatch
left=$(cd "$tree" && find . -xdev -name '*genrewatch*' ! -path './root/*' ! -path './var/log/*' ! -path './var/cache/*')
[ -z "$left" ] || fail "purge left $left"
! grep -q genrewatch "$tree/etc/passwd" "$tree/etc/group" || fail "purge left the user"
say "nothing is left after purge, $(seconds)"

other=$(build --release "$release" --arch "$(dpkg --print-architecture | sed 's/amd64/other/; s/arm64/amd64/; s/other/arm64/')")
describe "$other"
machine=$(case $other in *arm64.deb) echo aarch64 ;; *) echo x86_64 ;; esac)
dpkg-deb -c "$other" | grep '\.so$' >"$scratch/libraries"
grep -q "$machine" "$scratch/libraries" || fail "$(basename "$other") has no libraries for $machine"
say "passed, $(seconds)"
