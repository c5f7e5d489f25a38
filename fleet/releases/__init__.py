"""Releases: built reproducibly, signed offline, published once, never deleted (docs/howto/release.md).

archive.py     what releases consist of, by digest
"""
