"""Commands: the implementation of each command, from an open session to the document that the console prints. enaxp/cli only parses and
calls."""
