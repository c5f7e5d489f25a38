"""Signed documents: who signs them, whether they hold, and whom the nodes trust. No network, and mostly no fleet.

signers.py     a key in a PEM file, or a command that has one; passphrases
public.py      public keys as files
documents.py   sign a document, verify what is signed
roots.py       the chain of roots of a fleet
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
