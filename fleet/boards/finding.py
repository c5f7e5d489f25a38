"""What an examination says: one thing that was looked at."""

from dataclasses import dataclass

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`text` is what was found, `cause` why that is so where it is known, `hint` what to try."""

    status: str  # OK, WARN or FAIL
    check: str
    text: str
    cause: str = ""
    hint: str = ""
