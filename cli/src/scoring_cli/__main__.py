"""`python -m scoring_cli`, for where the script is not on the PATH."""

from scoring_cli.main import run

run()
