"""Long drills of the history: kills, a fleet of nodes, broker outages and a soak."""
