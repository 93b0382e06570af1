"""Servers for drills and tests on free loopback ports: Mosquitto, Icecast, a station that misbehaves, a proxy."""
