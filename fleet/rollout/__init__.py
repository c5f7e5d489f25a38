"""Rollouts: what shall happen to whom, and when. Pure: no clock, no database, no broker.

    plan.py      what an operator wants: waves, gates, limits, windows, places
    model.py     how far it got, what was seen, what is to be done
    step.py      (plan, state, seen, now) -> next state and actions

Everything is whole numbers (shares in permille, times in seconds since 1970 UTC), so that a step that is taken again
from the log gives the same bytes.
"""
