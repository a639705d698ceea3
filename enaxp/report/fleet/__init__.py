"""Reports of a fleet's bench: summary, Markdown and page."""
