"""Clients of others than the API's makers, each as its users have it: ``make other-clients``."""
