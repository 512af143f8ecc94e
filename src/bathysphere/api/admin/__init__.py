"""The Admin API, below ``/v1/organizations``: one file per resource."""
