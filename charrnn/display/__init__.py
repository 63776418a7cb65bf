"""What a person sees: messages, progress, colours, plots."""
