"""Reports of a run for people: summary, table, Markdown, page and charts."""
