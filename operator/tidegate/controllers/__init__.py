"""One module per resource or concern: watches → reading → engine → actions → status."""
