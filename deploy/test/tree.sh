# Sourced by the scripts of this directory: a clean Debian tree, and a Mosquitto broker that asks for a login.
# Everything is below one scratch directory and in namespaces of its own, so that no mount and no process is left behind.
# shellcheck shell=sh disable=SC2016,SC2034  # $ is meant literally; variables are used by the scripts

way=$(basename "$0" .sh)
checkout=$(cd "$(dirname "$0")/../.." && pwd)
started=$(date +%s)
broker_user=kitchen broker_password='s3cret "$x` \word'  # awkward on purpose: it must survive every file it is stored in

say() { echo "$way: $*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
skip() { say "SKIPPED: $*"; exit 77; }
seconds() { echo "$(($(date +%s) - started)) s"; }

# Ends the script with 77 unless it is run by root and the named programs are there.
need() {
    [ "$(id -u)" = 0 ] || skip "needs root, for chroot"
    for program in "$@"; do
        command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || skip "needs the program $program"
    done
    unshare --mount --pid --fork true 2>/dev/null || skip "needs mount and process namespaces"
}

scratch_directory() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/genrewatch-$way.XXXXXX")
    trap 'end_broker; rm -rf --one-file-system "$scratch"' EXIT
    trap 'exit 130' INT TERM
}

# Prints the Debian package sources of this machine, for the named suite.
debian_sources() {
    own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u | sed "s/ $own/ ${1:-$own}/"
}

# make_tree DIRECTORY [ARCHITECTURE [SUITE [PACKAGES]]]: a minimal Debian, once made kept in $GENREWATCH_TREES if that is set.
make_tree() {
    architecture=${2:-$(dpkg --print-architecture)}
    suite=${3:-$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}
    kept=${GENREWATCH_TREES:-$scratch}/$suite-$architecture-$(printf %s "${4:-}" | tr -c 'a-z0-9\n' _).tar
    if [ ! -e "$kept" ]; then
        debian_sources "$suite" >"$scratch/sources"
        [ -s "$scratch/sources" ] || skip "apt has no sources of Debian"
        mmdebstrap --mode=root --variant=minbase --architectures="$architecture" --include="ca-certificates${4:+,$4}" \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt=force-unsafe-io \
            "$suite" "$kept.part" "$scratch/sources" --format=tar >"$scratch/mmdebstrap.log" 2>&1 || {
                tail -n 5 "$scratch/mmdebstrap.log" >&2
                skip "no $suite for $architecture can be made (no registry of Debian packages?)"
            }
        mv "$kept.part" "$kept"
    fi
    mkdir -p "$1"
    tar -x -C "$1" -f "$kept"
    say "clean Debian $suite $architecture: $(du -sm "$1" | cut -f 1) MB, $(seconds)"
}

# Lets the tree reach the package registries that this machine uses: its resolver, its certificates and its settings of pip.
connect_tree() {
    for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        [ ! -e "$file" ] || { mkdir -p "$1$(dirname "$file")"; cp "$file" "$1$file"; }
    done
    [ -z "${PIP_INDEX_URL:-}" ] || printf '[global]\nindex-url = %s\n' "$PIP_INDEX_URL" >"$1/etc/pip.conf"
}

# Commands run in namespaces of their own, so that all mounts and processes end with the first one.
apart() { unshare --mount --pid --fork --kill-child --propagation private sh -c "$@"; }
enter='
    tree=$1; shift
    mkdir -p "$tree/dev" "$tree/proc"
    mount --rbind /dev "$tree/dev"; mount -t proc proc "$tree/proc"; mount -t tmpfs tmpfs "$tree/tmp"
    exec chroot "$tree" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PIP_ROOT_USER_ACTION=ignore "$@"'

# in_tree DIRECTORY COMMAND...: the command as root in the tree, with the devices of this machine.
in_tree() { apart "$enter" sh "$@"; }

# Ends what `in_tree ... &` started as a service manager would: below the waiting shell is unshare, which ignores SIGTERM, and below
# that the daemon.
end_daemon() {
    for below in $(pgrep -P "$1"); do
        pkill -TERM -P "$below" || true
    done
    wait "$1" || true
}

# A Mosquitto with a login on a free port of 127.0.0.1; sets $broker to its URL.
start_broker() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    broker=mqtt://127.0.0.1:$port
    mkdir -p "$scratch/broker"
    chmod 755 "$scratch" "$scratch/broker"
    mosquitto_passwd -b -c "$scratch/broker/passwords" "$broker_user" "$broker_password"
    chmod 644 "$scratch/broker/passwords"
    printf 'listener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\n' "$port" "$scratch/broker/passwords" \
        >"$scratch/broker/mosquitto.conf"
    PATH=$PATH:/usr/sbin mosquitto -c "$scratch/broker/mosquitto.conf" >"$scratch/broker/log" 2>&1 &
    broker_pid=$!
}

end_broker() { [ -z "${broker_pid:-}" ] || kill "$broker_pid" 2>/dev/null || true; }

# Waits up to 90 s for a verdict with a genre on the broker, and prints it.
expect_verdict() {
    mosquitto_sub -p "$port" -u "$broker_user" -P "$broker_password" -t 'genrewatch/+/+/state' -W 90 2>/dev/null |
        sed -un '/"reason": *"\(majority\|held\)"/{p;q}' >"$scratch/verdict" || true
    [ -s "$scratch/verdict" ] || fail "no verdict arrived at the broker"
    say "verdict at the broker: $(sed 's/.*\("genre": *"[a-z]*"\).*/\1/' "$scratch/verdict"), $(seconds)"
}
