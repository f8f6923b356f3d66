"""How a command line becomes a checked configuration."""
