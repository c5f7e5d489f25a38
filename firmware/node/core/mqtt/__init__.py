"""An MQTT 3.1.1 client without input or output: bytes and the time go in, bytes and decisions come out.

errors   the one error class, and the reason codes that the heartbeat reports
packets  the packets a client sends, written into one preallocated buffer
parser   the packets a client receives, cut from a byte stream
queue    messages that live in memory: state, replies, log lines
session  what the two ends owe each other: ids, acknowledgements, time limits
stats    counters and the latency of acknowledgements

`tasks/link.py` is the other half: sockets, TLS, waiting.
"""
