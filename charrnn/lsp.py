"""A language server: the model's suggestions in any editor that speaks the protocol."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from charrnn import __version__
from charrnn.complete import Completion
from charrnn.model import Model
from charrnn.ngram import half_word


def serve(model: Model, count: int, least: float) -> None:
    """Answer an editor on standard input and output until it says goodbye.

    Args:
        count: suggestions to choose from.
        least: probability under which nothing is shown at the cursor.
    """
    server = LanguageServer("charrnn", __version__)
    # One question after the other, while the server listens: those that wait can be cancelled.
    worker = ThreadPoolExecutor(max_workers=1)

    def place(
        params: types.CompletionParams | types.InlineCompletionParams,
    ) -> tuple[TextDocument, int]:
        """The document, and how many of its characters stand before the cursor."""
        document = server.workspace.get_text_document(params.text_document.uri)
        return document, document.offset_at_position(params.position)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        document, end = place(params)
        text = document.source[:end]
        half = half_word(text)
        start = document.client_position_at_offset(end - len(half)) if half else params.position
        loop = asyncio.get_running_loop()
        words: Sequence[Completion] = await loop.run_in_executor(worker, model.extend, text, count)
        items = [
            types.CompletionItem(
                label=half + word.text,
                kind=types.CompletionItemKind.Text,
                detail=f"{word.p:.0%}",
                sort_text=f"{rank:04}",
                text_edit=types.TextEdit(types.Range(start, params.position), half + word.text),
            )
            for rank, word in enumerate(words)
        ]
        return types.CompletionList(is_incomplete=True, items=items)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        document, end = place(params)
        here = types.Range(params.position, params.position)
        loop = asyncio.get_running_loop()
        texts = await loop.run_in_executor(worker, ghosts, document.source[:end])
        return types.InlineCompletionList(
            [types.InlineCompletionItem(insert_text=text, range=here) for text in texts]
        )

    def ghosts(text: str) -> list[str]:
        """What may stand at the cursor in grey."""
        found = model.complete(text, count)
        if not found or found[0].p < least:
            return []
        return [model.phrase(text, found[0], least), *(word.text for word in found[1:])]

    try:
        server.start_io()
    finally:
        worker.shutdown(cancel_futures=True)
