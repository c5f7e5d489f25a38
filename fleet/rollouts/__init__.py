"""Use cases of rollouts, over the store. The decisions are `fleet.rollout`'s.

planning.py       what a plan means now: eligibility.py, places.py and cost.py say who, where and how long
starting.py       from a plan to a rollout: kept, approved, started
operate.py        an operator's word; preview.py: what it would do
driver.py         the service's side, some times a second; deciding.py is one decision and its transaction
  facts.py, surroundings.py, evidence.py   what the engine is told: of nodes, of the rest of the fleet, of telemetry
  orders.py, epoch.py                      what nodes get: signed orders, and the epoch that all of them hear
standing.py       how a rollout stands; waiting.py: until it has ended
explain.py, history.py, rehearse.py        why, what if, and beforehand
"""
