"""The page, the API and the metrics, served by the daemon itself from a bounded pool of threads.

callbacks of the daemon ─► LiveSources ─► EventStreams ─► Server-Sent Events
                                │
                                └─► Api, Metrics ◄─ Application ◄─ waitress
"""
