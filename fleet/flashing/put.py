"""The program that replaces a document on a board as a whole: after a power cut it is the old one or the new one.

It is text for MicroPython. The power-cut matrix runs it there, so this file runs on both interpreters.
"""

import binascii
import hashlib

_CHUNK = 192  # bytes per line of program: the board holds one at a time
_PROGRAM = """\
import binascii, hashlib, os
path = {path}
def whole():
    sha = hashlib.sha256()
    with open(path + '.tmp', 'rb') as file:
        while 1:
            data = file.read(256)
            if not data:
                return binascii.hexlify(sha.digest()).decode()
            sha.update(data)
with open(path + '.tmp', 'wb') as file:
    put = lambda text: file.write(binascii.a2b_base64(text))
{chunks}
found = whole()
if found == '{digest}':
    os.rename(path + '.tmp', path)
else:
    os.remove(path + '.tmp')
answer = {{'sha256': found}}
"""


def program(path: str, data: bytes) -> str:
    """What to run on the board: it writes `data` beside `path`, checks that as read back, then renames it.

    It leaves `answer`, a dict with the SHA-256 of what it found on the flash: another than `digest(data)` means that
    nothing was replaced."""
    rows = [binascii.b2a_base64(data[at : at + _CHUNK]).decode().strip() for at in range(0, len(data), _CHUNK)]
    chunks = "\n".join([f"    put('{row}')" for row in rows]) or "    pass"
    return _PROGRAM.format(path=repr(path), chunks=chunks, digest=digest(data))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return binascii.hexlify(hashlib.sha256(data).digest()).decode()
