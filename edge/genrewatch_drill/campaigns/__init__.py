"""Long drills: kills, a fleet of nodes, broker outages, faults of disk and clock, and the soak."""
