"""Telling people: summary, tables, pages."""
