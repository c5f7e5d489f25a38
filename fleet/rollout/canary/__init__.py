"""The telemetry of the nodes that have a new program, judged against that of nodes which do not, and their own past.

samples    what is known of each node: records, heartbeats, starts
windows    the minutes that are compared, and from when on a window can be judged
metrics/   what is looked at, one file per family; each makes one integer of one node in one window
table      those integers, for every node and window
score      from integers to "worse" and "bad" windows
capital    what windows are worth as evidence: processes whose error rates hold at any time
judge      PROMOTE, HOLD or HALT, with a packet from which it follows

Pure, and all of it in integers: the same samples give the same packet, byte for byte, on every machine, and
`rejudge` finds the verdict from the packet alone. docs/explain/canary.md says why it decides as it does.
"""

from fleet.rollout.canary.judge import Judgement, judge, rejudge
from fleet.rollout.canary.samples import Beat, Interval, Samples, Start, Subject, Track

__all__ = ["Beat", "Interval", "Judgement", "Samples", "Start", "Subject", "Track", "judge", "rejudge"]
