"""The OpenAPI specification and the reference page that is made from it."""
