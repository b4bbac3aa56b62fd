"""The HTTP server: protocol limits, connections, API keys, rate limits, CORS, graceful shutdown, supervisor."""
