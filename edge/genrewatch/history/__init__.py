"""What was heard, kept: spells in a database that survives power cuts, and what is told of them later.

segments -> SpellBook (spells) -> Keeper (a thread) -> HistoryStore (SQLite) -> outbox -> MQTT
"""
