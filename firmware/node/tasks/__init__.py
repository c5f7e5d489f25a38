"""Asyncio loops; every object comes as an argument."""
