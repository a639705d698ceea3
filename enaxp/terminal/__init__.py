"""Terminal output: `console.py` prints, the other modules format what it prints; `live.py` draws a running bench."""
