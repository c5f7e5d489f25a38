"""Tests of the matrix itself run where it runs: under MicroPython (`tools/upytest.py`)."""

collect_ignore_glob = ["tests/test_run_*.py"]
