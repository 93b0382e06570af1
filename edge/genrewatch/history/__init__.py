"""The history of a node: spells in a database that survives power cuts, delivered over MQTT, and reports on them.

segments -> SpellBuilder (spells) -> HistoryWriter (a thread) -> HistoryStore (SQLite) -> outbox -> Delivery (MQTT)
"""
