"""An IIIF Image API server whose image sources are plugins."""

__version__ = "0.1.0"
