"""What people read of a run: summary, table, Markdown, page and charts."""
