"""What a trained network does with a text: its memory and its units."""
