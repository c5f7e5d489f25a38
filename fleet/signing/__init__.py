"""Signed documents: who signs them, whether they hold, and whom the nodes trust. No network, and mostly no fleet.

`signers.py` has a key in a PEM file, or a command that has one; `make.py` new keys; `public.py` public ones;
`documents.py` signs and verifies; `roots.py` is the chain of roots of a fleet; `draft.py` makes the next of them.
"""

from fleet.signing.documents import Signature, SignatureError, add, sign, signatures, verify
from fleet.signing.public import PublicKey, load_public
from fleet.signing.roots import Roots, campaign_signer, roots, verify_root
from fleet.signing.signers import Signer, command_signer, open_signer, pem_signer

__all__ = [
    "PublicKey",
    "Roots",
    "Signature",
    "SignatureError",
    "Signer",
    "add",
    "campaign_signer",
    "command_signer",
    "load_public",
    "open_signer",
    "pem_signer",
    "roots",
    "sign",
    "signatures",
    "verify",
    "verify_root",
]
