"""Commands: what each verb does, from an open session to the document that the console prints. enaxp/cli parses and calls, no more."""
