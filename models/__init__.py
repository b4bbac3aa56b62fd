"""The core that service and training share: generator files, cards, noise rules, seed syntax, and the shipped generators."""
