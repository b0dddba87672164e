"""One module per command, each with its `command`. They read options, call what does the work, and print."""
