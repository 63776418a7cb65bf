"""Units of a network: which follow what, and text coloured by their activations."""
