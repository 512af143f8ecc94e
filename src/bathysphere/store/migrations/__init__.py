"""The way from any earlier schema to today's, run at start by ``bathysphere.store.database``."""
