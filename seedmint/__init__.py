"""Seedmint trains generators with Algorithm 1 of Generative Adversarial Nets and serves them: a seed is an address."""
