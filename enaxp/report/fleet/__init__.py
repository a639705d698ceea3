"""What a bench of many pairs shows of itself: summary, Markdown and page."""
