"""A chat room that one command starts and that nobody has to babysit."""

__version__ = "0.1.0"
