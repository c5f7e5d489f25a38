"""Updates: what is believed, fetched, unpacked and tried. Imported when there is work, and dropped afterwards."""


class UpdateError(Exception):
    """An update ends here; the program that runs, and what is started next, are as they were.

    `code` is U_* of protocol.refusals; `text` says more to people, at most 96 bytes, and may be empty.
    """

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
