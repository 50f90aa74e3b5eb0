"""The typer commands: options and help texts; the verbs do the work."""
