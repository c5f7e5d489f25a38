"""Rollouts: what shall happen to whom, and when. Pure: no clock, no database, no broker.

    plan.py      what an operator wants: waves, gates, limits, windows, places
      keys.py, draft.py           plan files: which keys there are; read strictly, and written again
      waves.py, undo.py           which node is in which wave; the rollout that takes another one back
    model.py     how far it got, what was seen, what is to be done
    step.py      (plan, state, seen, now) -> next state and actions; work.py is one step while it is made
      report.py, transitions.py   what a report makes of a node, and which stage may follow which
      gates.py                    counts, ceilings, thresholds
      holds.py, situation.py      why a node is not ordered now, and what that takes to know
      windows.py, sun.py          when something may happen, as spans
      commands.py                 what operators may say when, and what it does
    canary/      what the telemetry says of the nodes that have the new program
    wire.py      all of it as bytes; logged.py is a decision as the log keeps it
    replay.py, whatif.py          the decisions of a log again, under the same gates and under others
    explain.py   why a node is where it is; advice.py, unselected.py: what to do about it, what it fails to match
    rehearse/    a plan on a twin of the fleet

Everything is whole numbers (shares in permille, times in seconds since 1970 UTC), so that a step that is taken again
from the log gives the same bytes.
"""
