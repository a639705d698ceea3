"""enaxp measures what ENA Express does to your traffic, with evidence."""

__version__ = "1.0.0"
