"""From logits to text: sampling, where a text ends, and what it must not say."""
