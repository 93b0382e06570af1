#!/bin/sh
# The image: built from the Containerfile without a daemon, its size, and run as a container is: read-only root, no HOME, a user
# without a name, the state in a volume. A verdict on a broker, doctor, classify and the health check.
# Usage: image.sh [ARCHITECTURE]     another one than this machine's needs qemu-user-static
set -eu
# shellcheck source=deploy/test/tree.sh
. "$(dirname "$0")/tree.sh"
need mmdebstrap mosquitto mosquitto_sub setpriv buildah
native=$(dpkg --print-architecture)
architecture=${1:-$native}
if [ "$architecture" != "$native" ]; then
    need "qemu-$(echo "$architecture" | sed 's/arm64/aarch64/; s/amd64/x86_64/')-static"
    mountpoint -q /proc/sys/fs/binfmt_misc || skip "binfmt_misc is not mounted, so no $architecture programs run"
    grep -q enabled /proc/sys/fs/binfmt_misc/qemu-* 2>/dev/null || skip "qemu is not registered in binfmt_misc"
fi
scratch_directory
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
case $release in
    bookworm) python=3.11 ;;
    trixie) python=3.13 ;;
    *) skip "the image is for Debian bookworm or trixie, this machine has $release" ;;
esac

buildah() { command buildah --root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs "$@"; }
# The base that `docker buildx` would pull, from this machine's package sources.
import_base() {
    make_tree "$scratch/base-$1" "$1"
    connect_tree "$scratch/base-$1"
    container=$(buildah from --arch "$1" scratch)
    buildah add --quiet "$container" "$scratch/base-$1" / >/dev/null
    buildah config --arch "$1" --os linux "$container"
    buildah commit --quiet --rm "$container" "localhost/genrewatch-base-$1" >/dev/null
    rm -rf "$scratch/base-$1"
}
import_base "$native"
[ "$architecture" = "$native" ] || import_base "$architecture"
buildah bud --quiet --isolation chroot --arch "$architecture" --format docker \
    --build-arg "BUILD_BASE=localhost/genrewatch-base-$native" --build-arg "BASE=localhost/genrewatch-base-$architecture" \
    --build-arg "PYTHON=$python" --build-arg "TARGETARCH=$architecture" --tag genrewatch --file "$checkout/deploy/Containerfile" "$checkout" \
    >"$scratch/build.log" 2>&1 || { tail -n 30 "$scratch/build.log" >&2; fail "the image could not be built"; }
buildah push --quiet --format oci genrewatch "oci-archive:$scratch/image.tar" >/dev/null 2>&1 || fail "the image could not be exported"
container=$(buildah from --arch "$architecture" genrewatch)
image=$(buildah mount "$container")
say "$architecture: $(du -m "$scratch/image.tar" | cut -f 1) MB compressed, as a registry counts it;" \
    "$(du -sm "$image" | cut -f 1) MB unpacked, $(seconds)"
[ "$(du -m "$scratch/image.tar" | cut -f 1)" -lt 120 ] || fail "the image is not below 120 MB"
settings=$(buildah inspect --type image genrewatch)
for wanted in '"User": "8710:29"' '"/var/lib/genrewatch": {}' '/usr/local/bin/healthcheck' '/usr/local/bin/genrewatch'; do
    echo "$settings" | grep -qF "$wanted" || fail "the image's settings lack $wanted"
done

mkdir "$scratch/state"
chown 8710:29 "$scratch/state"
chmod 0755 "$scratch"
# in_image COMMAND...: as a runtime starts it. /sys is not mounted: ai-edge-litert crashes where qemu shows it the host's.
in_image() {
    # shellcheck disable=SC2016  # expanded inside
    apart '
        image=$1 state=$2; shift 2
        mount --bind "$image" "$image"; mount --bind "$state" "$image/var/lib/genrewatch"
        mount --rbind /dev "$image/dev"; mount -t proc proc "$image/proc"; mount -t tmpfs tmpfs "$image/tmp"
        cp /etc/resolv.conf "$image/etc/resolv.conf" 2>/dev/null || true
        mount -o remount,bind,ro "$image"
        exec chroot "$image" /usr/bin/setpriv --reuid 8710 --regid 29 --clear-groups --no-new-privs --bounding-set=-all \
            /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin GENREWATCH_STATE=/var/lib/genrewatch \
            GENREWATCH_WEB_PORT="$GENREWATCH_WEB_PORT" \
            GENREWATCH_MQTT_USERNAME="$GENREWATCH_MQTT_USERNAME" GENREWATCH_MQTT_PASSWORD="$GENREWATCH_MQTT_PASSWORD" "$@"
        ' sh "$image" "$scratch/state" "$@"
}
start_broker
web_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export GENREWATCH_MQTT_USERNAME="$broker_user" GENREWATCH_MQTT_PASSWORD="$broker_password" GENREWATCH_WEB_PORT="$web_port"
in_image genrewatch doctor --mqtt "$broker" >"$scratch/doctor" 2>&1 || { cat "$scratch/doctor" >&2; fail "doctor found something wrong"; }
grep -q '^ok *decoder' "$scratch/doctor" || { cat "$scratch/doctor" >&2; fail "doctor found no ffmpeg"; }
say "doctor finds nothing wrong, $(seconds)"
in_image ffmpeg -v error -f lavfi -i 'sine=440:duration=20' -f mp3 /var/lib/genrewatch/tone.mp3 || fail "ffmpeg wrote no sound"
in_image genrewatch classify /var/lib/genrewatch/tone.mp3 >"$scratch/classified" 2>&1 || { cat "$scratch/classified" >&2; fail "classify failed"; }
say "classify: $(tail -n 1 "$scratch/classified"), $(seconds)"

in_image genrewatch listen --source demo: --mqtt "$broker" --web "$web_port" >"$scratch/listen" 2>&1 &
listen_pid=$!
expect_verdict || { cat "$scratch/listen" >&2; exit 1; }
in_image healthcheck >"$scratch/health" 2>&1 || { cat "$scratch/health" >&2; fail "the health check fails while it listens"; }
end_daemon "$listen_pid"
! in_image healthcheck >"$scratch/health" 2>&1 || fail "the health check passes although nothing runs"
say "the health check: $(cat "$scratch/health")"
say "passed, $(seconds)"
