"""Tests that need the board's interpreter run only there (`tools/upytest.py`): real LittleFS, MicroPython's asyncio."""

collect_ignore_glob = ["tests/test_run_*.py"]
