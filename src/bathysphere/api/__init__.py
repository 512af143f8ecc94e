"""The HTTP side: one file per resource, besides authentication, errors and request ids."""
