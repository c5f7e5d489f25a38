"""HTTPS of the fleet manager.

server.py   a bounded server in a thread of `fleet serve`
claim.py    boards that ask for their identity
"""
