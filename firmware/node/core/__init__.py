"""Decisions: pure code without hardware, clock, socket or asyncio."""
