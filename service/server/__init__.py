"""From socket to application: HTTP bounds, idle connections, keys, rate limits, CORS, drain, supervisor."""
