"""What a request names: one image, one sample, a contact sheet or a latent walk, as checked objects without HTTP."""
