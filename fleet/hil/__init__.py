"""The bench: which boards there are, who uses them, their power, what was measured on them, and the page that shows it.

inventory   bench.toml: the boards, and choosing among them
lock        one user per board at a time, over processes and people
power       on, off, cycle: one driver per kind of switch
plan        what a run of the suites is asked to do; the options of its pytest
results     what happened, kept so that a crash of anything loses at most one line
run         a run from beginning to end
report      N runs as one HTML page
"""
