"""Encodes images and samples: single files, contact sheets, plots and streamed archives."""
