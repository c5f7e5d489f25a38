"""Hardware-in-the-loop suites. They see a node through its serial port, its power and the wire, and nothing else."""
