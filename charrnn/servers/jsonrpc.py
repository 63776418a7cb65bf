"""JSON-RPC 2.0 as in the language server protocol: messages with a Content-Length header."""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

CONTENT_LENGTH = re.compile(rb"content-length:\s*(\d+)\s*", re.IGNORECASE)
# Error codes, from the specifications of JSON-RPC and of the language server protocol.
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
NOT_INITIALIZED, CANCELLED = -32002, -32800


def bodies(stream: BinaryIO) -> Iterator[bytes]:
    """Yield message bodies until the stream ends; a header without a length is skipped."""
    length = None
    while header := stream.readline():
        if found := CONTENT_LENGTH.fullmatch(header):
            length = int(found[1])
        elif not header.strip() and length is not None:
            body = stream.read(length)
            if len(body) < length:
                return
            yield body
            length = None


def message(**values: Any) -> bytes:
    """Return a message with its header."""
    body = json.dumps({"jsonrpc": "2.0", **values}).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
