"""Commands: what each verb does, from an open session to the document that the console prints. cli.py parses and calls, no more."""
