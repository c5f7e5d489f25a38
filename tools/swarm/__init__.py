"""A fleet of simulated nodes, thousands in one process (docs/howto/swarm.md).

Each has the firmware's own updater and MQTT session, and speaks to a real service through a real broker over a TLS
connection of its own.
"""
