"""Specs: checked descriptions of one image, one sample, a contact sheet or a latent walk. Independent of HTTP."""
