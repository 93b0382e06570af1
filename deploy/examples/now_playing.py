"""Prints what every source plays: `python now_playing.py [HOST [PORT]]`, with paho-mqtt 2 (`pip install paho-mqtt`).

Put the lines on any display instead: `show` gets one for each change.
"""

import json
import sys

import paho.mqtt.client as mqtt


def show(line: str) -> None:
    """Print a line."""
    print(line, flush=True)


def on_connect(client, userdata, flags, reason, properties) -> None:
    """Subscribe, on each connection."""
    client.subscribe("genrewatch/+/+/state", qos=1)


def on_message(client, userdata, message) -> None:
    """Show a state."""
    state = json.loads(message.payload)
    sure = "" if state["confidence"] is None else f" {state['confidence']:.0%}"
    title = f" ({state['title']})" if state["title"] else ""
    show(f"{state['name']}: {state['text']}{sure}{title}")


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_connect, client.on_message = on_connect, on_message
host, port = (sys.argv[1:] + ["localhost", "1883"][len(sys.argv) - 1 :])[:2]
client.connect(host, int(port))
client.loop_forever()
