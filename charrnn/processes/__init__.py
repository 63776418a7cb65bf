"""Writing many samples with several processes."""
