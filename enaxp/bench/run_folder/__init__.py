"""Run folder: what a bench leaves behind, as types, and the one way to read and write it."""
