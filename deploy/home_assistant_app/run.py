#!/usr/bin/python3
"""Starts genrewatch as an app of Home Assistant: the options become a configuration, the MQTT service the login.

/data/options.json comes from the supervisor; /data/genrewatch.toml is written here. A genrewatch.toml of the user in
/config replaces it.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

DATA = Path(os.environ.get("GENREWATCH_APP_DATA", "/data"))
OWN_CONFIG = Path(os.environ.get("GENREWATCH_APP_CONFIG", "/config")) / "genrewatch.toml"
SUPERVISOR = os.environ.get("SUPERVISOR_API", "http://supervisor")
INGRESS = "172.30.32.2"  # the supervisor's proxy, which checks the login of Home Assistant
USER, AUDIO = int(os.environ.get("GENREWATCH_APP_USER", "8710")), 29


def mqtt_service() -> dict[str, object]:
    """Return the supervisor's MQTT service: host, port, ssl, username, password; empty where there is none."""
    headers = {"Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}"}
    request = urllib.request.Request(f"{SUPERVISOR}/services/mqtt", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer)["data"])
    except urllib.error.HTTPError as exc:
        print(
            f"Home Assistant has no MQTT service ({exc.code}): install the app Mosquitto broker, or set mqtt_url",
            flush=True,
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        print(f"the supervisor does not answer at {SUPERVISOR}: {exc}", flush=True)
    return {}


def quoted(value: object) -> str:
    """Return a value as TOML, whose strings are JSON's."""
    return json.dumps(value, ensure_ascii=False)


def configuration(options: dict[str, object], url: str) -> str:
    """Return the configuration for the options and the broker's address."""
    lines = []
    for source in options.get("sources") or [{"uri": "auto"}]:
        lines += ["[[source]]", *(f"{key} = {quoted(value)}" for key, value in source.items() if value)]
    lines += ["[mqtt]", f"url = {quoted(url)}"]
    lines += ["[web]", 'host = "0.0.0.0"', "port = 8710", f"proxy = {quoted(INGRESS)}"]
    return "\n".join(lines) + "\n"


def broker(options: dict[str, object]) -> tuple[str, dict[str, str]]:
    """Return the address of the broker and the login for the environment."""
    if options.get("mqtt_url"):
        url, service = (
            str(options["mqtt_url"]),
            {f"{key}": options.get(f"mqtt_{key}") for key in ("username", "password")},
        )
    else:
        service = mqtt_service()
        scheme = "mqtts" if service.get("ssl") else "mqtt"
        url = f"{scheme}://{service['host']}:{service['port']}" if service.get("host") else "none"
    login = {
        f"GENREWATCH_MQTT_{key.upper()}": str(service[key]) for key in ("username", "password") if service.get(key)
    }
    return url, login


def become_user() -> None:
    """Go on without root's rights; the state belongs to the user."""
    if os.getuid() == USER:
        return
    for path in (DATA, *DATA.rglob("*")):
        os.chown(path, USER, AUDIO, follow_symlinks=False)
    os.setgroups([])
    os.setgid(AUDIO)
    os.setuid(USER)


def main() -> None:
    """Write the configuration and become genrewatch."""
    options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
    url, login = broker(options)
    config = OWN_CONFIG
    if not config.exists():
        config = DATA / "genrewatch.toml"
        config.write_text(configuration(options, url), encoding="utf-8")
    become_user()
    os.environ.pop("SUPERVISOR_TOKEN", None)
    os.environ |= {**login, "GENREWATCH_STATE": str(DATA / "state")}
    os.execvp("genrewatch", ["genrewatch", "listen", "--config", str(config), *sys.argv[1:]])


main()
