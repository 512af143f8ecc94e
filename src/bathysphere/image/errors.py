"""What can go wrong between a definition and a finished image."""


class ImageError(Exception):
    """The image could not be built, brought in or used; the message says what to do about it."""
