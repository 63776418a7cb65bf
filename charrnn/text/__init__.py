"""Reading, splitting and indexing text."""
