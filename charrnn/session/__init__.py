"""The interactive session of charrnn complete."""
