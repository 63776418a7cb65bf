"""Suggestions: from what was typed to what may come next."""
