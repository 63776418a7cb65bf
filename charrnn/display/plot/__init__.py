"""How runs went, from their logs: a page of charts, and a small curve for the terminal."""
