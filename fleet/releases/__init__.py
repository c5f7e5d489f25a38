"""Releases: built reproducibly, signed offline, published once, never deleted (docs/howto/release.md).

build.py       sources in, the release of each product out           origin.py, size.py, sbom.py
contents.py    a release with everything that it names, checked
directory.py   the same as a directory, which travels to whoever signs
trust.py       sign, verify, publish
archive.py     what published releases consist of, by digest
delta.py       what a node has to fetch
"""
