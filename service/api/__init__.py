"""HTTP resources, their schemas and their specification."""
