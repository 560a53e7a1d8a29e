"""Where a record may say that a model's files are: over https, or in a repository of the Hugging Face hub.

One grammar for those who sign records and those who follow them, so that no record names what every node refuses. No
query and no fragment (names of files are appended), no user and password, no plain http, no path of a machine.
"""

import re

MAX_CHARACTERS = 512

PATTERN = (
    r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"|hf://(?P<repository>[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})"
    r"@(?P<revision>[A-Za-z0-9._/-]{1,128})"
)
"""Of the whole text."""

MEANING = "an address https://host/… without a query, or hf://owner/name@revision"

_LOCATION = re.compile(PATTERN, re.ASCII)


def parsed(text: str) -> re.Match[str] | None:
    """What the text is of: with a ``repository`` and its ``revision`` on the hub, without them a web server's folder.

    None if it is no location.
    """
    return _LOCATION.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
