"""The OpenAPI document, and the reference page that is rendered from it."""
