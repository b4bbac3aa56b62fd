"""Packs generator files into OCI images, for image volumes, init containers and model containers of Kubernetes."""
