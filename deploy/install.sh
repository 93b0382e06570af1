#!/bin/sh
# Installs genrewatch as a service on Debian or Raspberry Pi OS (64-bit), or upgrades or removes it.
# Run it again at any time: what is there already stays. Configuration, login and history are never overwritten.
set -eu

usage() {
    cat <<'EOF'
Usage: install.sh [OPTION]...           install, or bring what is installed up to date
       install.sh --upgrade [OPTION]... the same, without questions; refuses where nothing is installed
       install.sh --uninstall           stop and remove it; configuration, login and history stay
       install.sh --uninstall --purge   remove those too

  --wheel FILE       install this wheel instead of the checkout that holds this script
  --broker URL       set mqtt.url in the configuration, as mqtt://homeassistant.local
  --username NAME    log in to the broker as NAME; the password is asked for, or taken from the environment
  --source URI       set the uri of the first source in the configuration, as demo: or https://host/stream
  --python PROGRAM   Python that makes the environment, 3.11 or later (default python3)
  --no-packages      install no Debian packages
  --no-ffmpeg        do without ffmpeg: microphones only (saves about 500 MB)
  --dry-run          print what would be done, change nothing
  -h, --help         print this

GENREWATCH_MQTT_USERNAME and GENREWATCH_MQTT_PASSWORD in the environment are stored as the login: the name in the
configuration, the password in a file of root's, which systemd gives to the service.
EOF
}

say() { echo "install.sh: $*"; }
fail() { echo "install.sh: $*" >&2; exit 2; }

prefix=/opt/genrewatch
config=/etc/genrewatch.toml
password_file=/etc/genrewatch.mqtt-password
unit=/etc/systemd/system/genrewatch.service
link=/usr/local/bin/genrewatch
state=/var/lib/genrewatch
user=genrewatch
here=$(cd "$(dirname "$0")" && pwd)
action=install wheel="" broker="" source="" python=python3 packages=yes ffmpeg=ffmpeg purge=no dry_run=no
username=${GENREWATCH_MQTT_USERNAME:-} password=${GENREWATCH_MQTT_PASSWORD:-}

while [ $# -gt 0 ]; do
    case $1 in
        --wheel | --broker | --username | --source | --python) [ $# -gt 1 ] || fail "$1 needs a value" ;;
    esac
    case $1 in
        --upgrade) action=upgrade ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --wheel) wheel=$2; shift ;;
        --broker) broker=$2; shift ;;
        --username) username=$2; shift ;;
        --source) source=$2; shift ;;
        --python) python=$2; shift ;;
        --no-packages) packages=no ;;
        --no-ffmpeg) ffmpeg="" ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option $1" ;;
    esac
    shift
done

# Says what is done and does it; says it only with --dry-run.
step() {
    say "$1"
    shift
    if [ "$dry_run" = no ]; then "$@"; else echo "    $*"; fi
}

pip() { "$prefix/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

systemd_runs() { [ -d /run/systemd/system ]; }

check_machine() {
    [ "$(id -u)" = 0 ] || [ "$dry_run" = yes ] || fail "run it as root: sudo sh $0"
    command -v apt-get >/dev/null || fail "no apt-get: this script is for Debian and Raspberry Pi OS"
    # A Raspberry Pi can run a 64-bit kernel below 32-bit programs; dpkg knows what the programs are.
    case $(dpkg --print-architecture) in
        amd64 | arm64) ;;
        *) fail "$(dpkg --print-architecture) programs: genrewatch needs 64-bit Debian or Raspberry Pi OS (amd64, arm64)" ;;
    esac
    [ -z "$wheel" ] || [ -f "$wheel" ] || fail "--wheel: no file $wheel"
    [ -n "$wheel" ] || [ -f "$here/../pyproject.toml" ] || fail "$here is no checkout of genrewatch; give --wheel FILE"
    for file in genrewatch.toml genrewatch.service; do
        [ -f "$here/$file" ] || fail "$here/$file is missing: keep this script in the directory deploy"
    done
    [ "$action" != upgrade ] || [ -x "$prefix/bin/python" ] || fail "nothing is installed in $prefix; leave out --upgrade"
}

install_packages() {
    missing=""
    for package in python3-venv libportaudio2 $ffmpeg; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || { say "packages: all there"; return 0; }
    if [ "$packages" = no ]; then say "packages: missing, but --no-packages was given:$missing"; return 0; fi
    step "packages: getting the lists" apt-get update -qq
    # shellcheck disable=SC2086  # several packages
    step "packages: installing$missing" \
        env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >"$log"
}

install_environment() {
    [ "$dry_run" = yes ] || "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is not Python 3.11 or later ($("$python" -V 2>&1)); give --python PROGRAM"
    # An environment of an older Python is of no use after an upgrade of the system.
    if [ -d "$prefix" ] && ! "$prefix/bin/python" -c '' 2>/dev/null; then
        step "environment: $prefix no longer runs, made anew" rm -rf "$prefix"
    fi
    [ -x "$prefix/bin/python" ] || step "environment: making $prefix" "$python" -m venv "$prefix"
    if [ -z "$wheel" ]; then
        step "environment: building the wheel of $(cd "$here/.." && pwd)" \
            pip wheel --no-deps --wheel-dir "$scratch" "$here/.."
        wheel="$scratch/genrewatch-*.whl"
        [ "$dry_run" = yes ] || wheel=$(echo "$scratch"/genrewatch-*.whl)
    fi
    step "environment: installing what genrewatch needs" pip install --upgrade "$wheel"
    # pip leaves a package of the same version as it is, which a checkout may not be
    step "environment: installing $(basename "$wheel")" pip install --force-reinstall --no-deps "$wheel"
    [ "$(readlink "$link" 2>/dev/null)" = "$prefix/bin/genrewatch" ] ||
        step "command: $link" ln -sfn "$prefix/bin/genrewatch" "$link"
}

create_user() {
    if id "$user" >/dev/null 2>&1; then say "user: $user is there"; return 0; fi
    step "user: creating $user, in the group audio" useradd --system --user-group --groups audio \
        --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$user"
}

# Sets KEY = "VALUE" for the first line of the file that holds the key, as a comment or not.
set_key() {
    value=$(printf '%s' "$2" | sed 's/[\\"]/\\&/g; s/[|\\&]/\\&/g')
    line=$(grep -nE "^#?$1 = " "$config" | head -n 1 | cut -d: -f1)
    [ -n "$line" ] || fail "$config has no line '$1 = ...': set it by hand"
    sed -i "${line}s|.*|$1 = \"$value\"|" "$config"
}

write_config() {
    if [ -e "$config" ]; then
        say "configuration: $config stays"
    else
        step "configuration: $config, every key with its meaning" install -m 0644 "$here/genrewatch.toml" "$config"
    fi
    [ -z "$broker" ] || step "configuration: mqtt.url = $broker" set_key url "$broker"
    [ -z "$source" ] || step "configuration: source.uri = $source" set_key uri "$source"
}

ask_login() {
    [ "$action" = install ] && [ -t 0 ] && [ ! -e "$password_file" ] && [ "$dry_run" = no ] || return 0
    if [ -z "$username" ]; then
        printf "User name at the MQTT broker (empty: it asks for none): "
        read -r username
    fi
    if [ -n "$username" ] && [ -z "$password" ]; then
        printf "Password of %s (not shown): " "$username"
        stty -echo
        trap 'stty echo' EXIT INT TERM
        read -r password || true
        stty echo
        echo
    fi
}

save_password() {
    ( umask 077; printf '%s\n' "$password" >"$password_file.new" )
    mv "$password_file.new" "$password_file"
}

write_login() {
    ask_login
    [ -z "$username" ] || step "login: mqtt.username = $username" set_key username "$username"
    if [ -n "$password" ]; then
        step "login: the password in $password_file, for root only" save_password
    elif [ -e "$password_file" ]; then
        say "login: $password_file stays"
    else
        say "login: no password; the broker must not ask for one"
    fi
}

write_unit() {
    if cmp -s "$here/genrewatch.service" "$unit"; then
        say "unit: $unit is there"
    else
        step "unit: $unit (changes of your own belong in $unit.d/)" install -D -m 0644 "$here/genrewatch.service" "$unit"
    fi
    if ! systemd_runs; then
        say "unit: not enabled, systemd does not run here"
        return 0
    fi
    step "unit: reading it" systemctl daemon-reload
    step "unit: starting it now and at every boot" systemctl enable --quiet genrewatch
    step "unit: restarting it" systemctl restart genrewatch
}

# Runs a command as the service's user, with the unit's login and state.
as_service() {
    if systemd_runs; then
        settings='^(User|DynamicUser|SupplementaryGroups|StateDirectory|StateDirectoryMode|EnvironmentFile|LoadCredential.*|SetCredential)='
        # shellcheck disable=SC2046  # an option a line, without spaces
        systemd-run --quiet --wait --collect --pipe \
            $(grep -E "$settings" "$unit" | sed 's/^/--property=/') "$@"
    else
        install -d -m 0700 -o "$user" -g "$user" "$state"
        [ ! -e "$password_file" ] || password=$(cat "$password_file")
        GENREWATCH_MQTT_PASSWORD=$password GENREWATCH_STATE=$state \
            setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
    fi
}

check_installation() {
    step "doctor: as the service's user" as_service "$prefix/bin/genrewatch" doctor --config "$config" ||
        say "doctor: what is 'wrong' above keeps it from working; mend it, then run: sudo systemctl restart genrewatch"
}

uninstall() {
    if systemd_runs && [ -e "$unit" ]; then
        step "unit: stopping it" systemctl disable --now --quiet genrewatch || true
    fi
    [ ! -e "$unit" ] || step "unit: removing $unit" rm -f "$unit"
    ! systemd_runs || step "unit: forgetting it" systemctl daemon-reload
    [ ! -L "$link" ] || step "command: removing $link" rm -f "$link"
    [ ! -d "$prefix" ] || step "environment: removing $prefix" rm -rf "$prefix"
    if [ "$purge" = no ]; then
        say "kept: $config, $password_file, $state (--purge removes them)"
        return 0
    fi
    step "configuration, login and history: removing $config $password_file $state" \
        rm -rf "$config" "$password_file" "$unit.d" "$state" /var/lib/private/genrewatch
    ! id "$user" >/dev/null 2>&1 || step "user: removing $user" userdel "$user"
    say "Debian packages stay: python3-venv libportaudio2 ffmpeg"
}

if [ "$action" = uninstall ]; then
    [ "$(id -u)" = 0 ] || [ "$dry_run" = yes ] || fail "run it as root: sudo sh $0 --uninstall"
    uninstall
    exit 0
fi
check_machine
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log="$scratch/log"
install_packages || { tail -n 20 "$log" >&2; fail "the packages could not be installed"; }
install_environment
create_user
write_config
write_login
write_unit
check_installation
say "done: edit $config, then run: sudo systemctl restart genrewatch"
