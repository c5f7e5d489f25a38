"""The payload of an update: the files of a program as operations on the files of another (SPEC 16).

One byte FORMAT, one byte with the base-2 logarithm of the window, then one raw deflate stream (RFC 1951). It holds
operations for the manifest and then for each file of it, in its order, until the size of each is reached. An operation
is a number as a varint (7 bits a byte, the lowest first): its two lowest bits are what to do, the others how much.
"""

FORMAT = 1
MIN_BITS = 10  # of the window: what a node can spare, and what it has to
MAX_BITS = 12
HEAD = 2  # bytes before the stream

INSERT = 0  # so many bytes follow
COPY = 1  # so many bytes of the source; a zigzag varint follows: from where, seen from the end of the last copy
SOURCE = 2  # the source is from now on: 0 the manifest of the program that runs, n the n-th file of it
SAME = 3  # this file and those after it, so many in all, are those of the same path in the program that runs
VARINT = 4  # bytes of the longest varint
