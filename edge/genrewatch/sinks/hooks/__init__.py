"""The hook sink: a command that is run or a URL that is called for an event."""
