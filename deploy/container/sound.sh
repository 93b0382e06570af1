#!/bin/sh
# Puts what plays and records sound into the root of an image: ffmpeg, and ALSA's way to a PulseAudio server.
# Usage: sound.sh ARCHITECTURE DIRECTORY
# Debian's ffmpeg brings 220 packages and its plugins of ALSA bring ffmpeg's libraries. The static ffmpeg that PyPI's imageio-ffmpeg
# carries is one file (GPL-3.0), and two of the plugins need libpulse only.
set -eu
architecture=$1 root=$2
case $architecture in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
esac
scratch=$(mktemp -d)
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" --platform "manylinux2014_$machine" \
    --only-binary :all: 'imageio-ffmpeg>=0.6,<1'
python3 -m zipfile -e "$scratch"/imageio_ffmpeg-*.whl "$scratch/wheel"
install -D -m 0755 "$scratch"/wheel/imageio_ffmpeg/binaries/ffmpeg-linux-* "$root/usr/local/bin/ffmpeg"

dpkg --add-architecture "$architecture"
apt-get update -qq
cd "$scratch"
apt-get download -qq "libasound2-plugins:$architecture"
dpkg -x libasound2-plugins_*.deb plugins
library=usr/lib/$machine-linux-gnu/alsa-lib
mkdir -p "$root/$library"
cp "plugins/$library"/libasound_module_*_pulse.so "$root/$library/"
# `default` is PulseAudio where a server answers, else the first sound card.
mkdir -p "$root/etc/alsa/conf.d" "$root/usr/share/alsa"
cp plugins/usr/share/alsa/pulse-alsa.conf "$root/usr/share/alsa/" 2>/dev/null || true
cat >"$root/etc/alsa/conf.d/99-pulse.conf" <<'EOF'
pcm.pulse { type pulse; hint { show on; description "PulseAudio server" } }
ctl.pulse { type pulse }
hook_func.pulse_load_if_running { lib "libasound_module_conf_pulse.so" func "conf_pulse_hook_load_if_running" }
@hooks [ { func pulse_load_if_running files [ "/usr/share/alsa/pulse-alsa.conf" ] errors false } ]
EOF
rm -rf "$scratch"
