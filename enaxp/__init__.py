"""enaxp measures what ENA Express does to your traffic, with evidence."""

__version__ = "0.1.0"
