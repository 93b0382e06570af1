"""The MQTT sink: connection, topics, payloads, commands and Home Assistant's discovery."""
