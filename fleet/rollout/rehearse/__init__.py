"""A plan against a simulated twin of the fleet, before the fleet tries it. Pure and seeded: the same figures again.

twin.py      when each node was there, from its own heartbeats
nodes.py     what simulated nodes do with orders
run.py       one rollout of them, decided by the engine itself
outcome.py   what many runs say: times, bytes, and which broken releases the gates would catch
"""
