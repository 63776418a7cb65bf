"""Charts of runs, from their logs: an HTML page, and a curve for the terminal."""
