"""What a person sees at a terminal: `console.py` prints, the others word what it prints; `live.py` draws a bench while it runs."""
