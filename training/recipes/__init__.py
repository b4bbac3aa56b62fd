"""Recipes: the schema, the YAML files that come with Seedmint, and overrides."""
