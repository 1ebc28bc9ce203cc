"""Secrets of addresses are for the server they lead to, and for nobody else."""

from __future__ import annotations

import re
from urllib.parse import unquote

_LOGIN = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"(?i)\b(password|passwd|pwd|token|secret|api_?key)=[^&\s]+")


def redact(text: str, uri: str = "") -> str:
    """``text`` without user names, passwords and tokens of the URIs in it, or of ``uri``."""
    login = _LOGIN.search(uri)
    if login is not None:
        for part in (login.group()[:-1], *login.group()[:-1].split(":", 1)[1:]):
            for secret in (part, unquote(part)):
                text = text.replace(secret, "***") if len(secret) > 3 else text
    return _QUERY.sub(r"\1=***", _LOGIN.sub("***@", text))
