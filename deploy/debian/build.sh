#!/bin/sh
# Builds a Debian package, for one architecture and one release of Debian (whose Python it is for), on any of them.
# Usage: build.sh [--arch amd64|arm64] [--release bookworm|trixie] [--wheel FILE] [--revision N] DIRECTORY
# PYTHON is a Python that can import genrewatch, for the man pages (default .venv/bin/python).
# COMPRESSION is dpkg-deb's (default xz; gzip is quick).
# DEBFULLNAME and DEBEMAIL name the maintainer of the package, as for Debian's own tools.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
architecture=$(dpkg --print-architecture) release=bookworm wheel="" revision=1 output=""
while [ $# -gt 0 ]; do
    case $1 in
        --arch) architecture=$2; shift ;;
        --release) release=$2; shift ;;
        --wheel) wheel=$2; shift ;;
        --revision) revision=$2; shift ;;
        -*) echo "build.sh: unknown option $1" >&2; exit 2 ;;
        *) output=$1 ;;
    esac
    shift
done
[ -n "$output" ] || { echo "build.sh: name the directory for the package" >&2; exit 2; }
case $release in
    bookworm) python=3.11 next=3.12 suffix=deb12u ;;
    trixie) python=3.13 next=3.14 suffix=deb13u ;;
    *) echo "build.sh: --release $release: found neither bookworm nor trixie" >&2; exit 2 ;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -z "$wheel" ]; then
    python3 -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$scratch" "$root"
    wheel=$(echo "$scratch"/genrewatch-*.whl)
fi
version=$(basename "$wheel" | cut -d- -f2)-$revision~$suffix$revision
tree=$scratch/tree
program=$tree/usr/lib/genrewatch

# A virtual environment by hand: Debian's Python, and site-packages of its own.
sh "$root/deploy/site_packages.sh" "$wheel" "$architecture" "$python" "$program/lib/python$python/site-packages"
mkdir -p "$program/bin"
ln -s "/usr/bin/python$python" "$program/bin/python"
printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$program/pyvenv.cfg"
find "$tree" -type f -exec chmod 0644 {} +
find "$tree" -type d -exec chmod 0755 {} +

install -D -m 0755 "$here/genrewatch" "$tree/usr/bin/genrewatch"
install -D -m 0644 "$root/deploy/genrewatch.toml" "$tree/etc/genrewatch.toml"
unit=$tree/usr/lib/systemd/system/genrewatch.service
mkdir -p "$(dirname "$unit")"
sed 's#/opt/genrewatch/bin/genrewatch#/usr/bin/genrewatch#g; 2,3d' "$root/deploy/genrewatch.service" >"$unit"
(cd "$root" && "${PYTHON:-$root/.venv/bin/python}" -m docs.scripts.man_pages "$scratch/man" "$version")
for page in "$scratch"/man/*.1; do
    install -D -m 0644 "$page" "$tree/usr/share/man/man1/$(basename "$page")"
done
gzip -9n "$tree"/usr/share/man/man1/*
install -D -m 0644 "$scratch/man/genrewatch.bash" "$tree/usr/share/bash-completion/completions/genrewatch"

maintainer="${DEBFULLNAME:-genrewatch} <${DEBEMAIL:-genrewatch@packages.invalid}>"
documents=$tree/usr/share/doc/genrewatch
mkdir -p "$documents" "$tree/DEBIAN" "$tree/usr/share/lintian/overrides"
install -m 0644 "$here/copyright" "$here/README.Debian" "$documents"
printf 'genrewatch (%s) unstable; urgency=medium\n\n  * See /usr/share/doc/genrewatch/CHANGELOG.md.gz.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")" | gzip -9n >"$documents/changelog.Debian.gz"
gzip -9nc "$root/CHANGELOG.md" >"$documents/CHANGELOG.md.gz"
install -m 0644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/genrewatch"
sed "s/@version@/$version/; s/@architecture@/$architecture/; s/@python@/$python/g; s/@next@/$next/; s/@maintainer@/$maintainer/
     s/@size@/$(du -sk --apparent-size "$tree" | cut -f 1)/" "$here/control" >"$tree/DEBIAN/control"
echo /etc/genrewatch.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "$here/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$scratch/md5sums"
install -m 0644 "$scratch/md5sums" "$tree/DEBIAN/md5sums"
mkdir -p "$output"
chmod 0755 "$tree"
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" -z6 --build "$tree" "$output/genrewatch_${version}_$architecture.deb" >/dev/null
echo "$output/genrewatch_${version}_$architecture.deb"
