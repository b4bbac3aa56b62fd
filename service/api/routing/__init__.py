"""Routes and request handlers of the application."""
