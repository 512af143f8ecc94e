"""The models behind the API: one interface, one file per kind of upstream."""
