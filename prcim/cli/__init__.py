"""The command `prcim`: thin, and quick to start, since each subcommand imports what it needs when it runs."""
