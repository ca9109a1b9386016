"""The command line: `tidegate …`."""
