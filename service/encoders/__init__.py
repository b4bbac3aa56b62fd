"""Arrays to bytes: PNG, WebP, GIF, npy, npz, zip, CSV, JSON lines, plots."""
