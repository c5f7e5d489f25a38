"""Rollouts: what shall happen to whom, and when. Pure: no clock, no database, no broker.

    plan.py      what an operator wants: waves, gates, limits, windows, places
    model.py     how far it got, what was seen, what is to be done
    step.py      (plan, state, seen, now) -> next state and actions
      report.py, transitions.py   what a report makes of a node, and which stage may follow which
      gates.py                    counts, ceilings, thresholds
      holds.py, situation.py      why a node is not ordered now, and what that takes to know
      windows.py, sun.py          when something may happen, as spans
      commands.py, obey.py        what operators may say when, and what it does
    wire.py      all of it as bytes

Everything is whole numbers (shares in permille, times in seconds since 1970 UTC), so that a step that is taken again
from the log gives the same bytes.
"""
