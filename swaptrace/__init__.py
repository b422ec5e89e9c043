"""swaptrace: replay page-fault scenarios through a model of Linux's swap-in path."""

__version__ = "0.1.0"
