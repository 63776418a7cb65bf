"""The lines of standard input as they arrive, so that each can be answered at once."""

import codecs
import re
import sys
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, IncrementalNewlineDecoder
from itertools import chain, islice
from typing import cast

from charrnn.display.console import Ui
from charrnn.errors import TextError

READ = 1 << 16  # maximum bytes of a pipe read at a time
UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are not UTF-8, as "surrogateescape" has them


def arriving(ui: Ui) -> Iterator[list[str]]:
    """Yield the lines of standard input, which is UTF-8, as many at a time as have arrived.

    Raises:
        TextError: a line is not UTF-8, or too long; those before it were yielded.
    """
    from charrnn.text.blocks import bounded_lines, whole_lines
    from charrnn.text.source import LONGEST_LINE, waiting

    utf_8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    decode = IncrementalNewlineDecoder(utf_8, translate=True).decode
    pipe = cast(BufferedReader, sys.stdin.buffer)
    read = iter(partial(pipe.read1, READ), b"")
    with waiting("standard input", ui.note, sys.stdin):
        first = [*islice(read, 1)]
    blocks = chain(map(decode, chain(first, read)), (decode(b"", True) for _ in range(1)))
    number = 1
    for text in whole_lines(bounded_lines(blocks, LONGEST_LINE, "standard input")):
        lines = text.split("\n")
        wrong = next((i for i, line in enumerate(lines) if UNDECODED.search(line)), None)
        if wrong is not None:
            yield lines[:wrong]
            raise TextError(
                f"standard input is not UTF-8 (line {number + wrong})",
                "give --encoding, for example --encoding cp1252; or name a file, whose encoding "
                "and compression are recognised",
            )
        yield lines
        number += len(lines)
