"""The protocol's nouns. The only place that knows the names of fields, types and error codes."""
