"""A language server: the model's suggestions in any editor that speaks the protocol."""

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from charrnn import __version__
from charrnn.model import Model
from charrnn.ngram import half_word


def serve(model: Model, count: int, least: float) -> None:
    """Answer an editor on standard input and output until it says goodbye.

    Args:
        count: suggestions to choose from.
        least: probability under which nothing is shown at the cursor.
    """
    server = LanguageServer("charrnn", __version__)

    def before(document: TextDocument, position: types.Position) -> str:
        """The text before the cursor."""
        return document.source[: document.offset_at_position(position)]

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())
    def completion(params: types.CompletionParams) -> types.CompletionList:
        document = server.workspace.get_text_document(params.text_document.uri)
        text = before(document, params.position)
        half = half_word(text)
        start = params.position
        if half:
            end = document.offset_at_position(params.position)
            start = document.client_position_at_offset(end - len(half))
        items = [
            types.CompletionItem(
                label=half + word.text,
                kind=types.CompletionItemKind.Text,
                detail=f"{word.p:.0%}",
                sort_text=f"{rank:04}",
                text_edit=types.TextEdit(types.Range(start, params.position), half + word.text),
            )
            for rank, word in enumerate(model.extend(text, count))
        ]
        return types.CompletionList(is_incomplete=True, items=items)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        document = server.workspace.get_text_document(params.text_document.uri)
        text = before(document, params.position)
        here = types.Range(params.position, params.position)
        found = model.complete(text, count)
        if not found or found[0].p < least:
            return types.InlineCompletionList([])
        texts = [model.phrase(text, found[0], least), *(word.text for word in found[1:])]
        return types.InlineCompletionList(
            [types.InlineCompletionItem(insert_text=each, range=here) for each in texts]
        )

    server.start_io()
