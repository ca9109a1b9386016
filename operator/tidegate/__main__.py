"""`python -m tidegate` is `tidegate`."""

from tidegate.cli.main import app

if __name__ == "__main__":
    app(prog_name="tidegate")
