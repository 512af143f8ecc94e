"""The parties of the bench of streams: an upstream without latency, a plain proxy, and clients that only read."""
