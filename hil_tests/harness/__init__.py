"""What the suites stand on. A test asks for a fixture of `conftest.py` and never names a service or a kind of board.

verdict      whose fault it is: the product's, or the bench's
crashes      what a console says when a program dies
console_log  the console of one test: kept, time-stamped, looked through
line         the serial line, as pytest-embedded drives it
console      the same for a test: expect, ask, interrupt, lend the port
board        one board of the bench: its power, and the way from off over the loader to the program
run          what the processes of one run know in common
city         a fleet of its own for the run: broker, service, database; `keeper` runs it in the first process
gate         the way of one board to that broker, which can be cut; and its time server
wire         what nodes say to the broker, as it comes
node         a board that reports: what it is told, and what it answers
stimulus     what happens to sensors, radio and flash, on benches that can do such things
assign       which test runs on which board; `scheduling` keeps the tests of one board together
artefacts    what is kept of a test that failed
session      one process of a run; `keys` are the names under which hooks and fixtures find it
plugin       the hooks of pytest: options, verdicts, results
"""
