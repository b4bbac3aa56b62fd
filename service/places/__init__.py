"""Places of generator files: folders, object stores, the Hub and web servers, and the local cache of remote files."""
