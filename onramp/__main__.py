"""Run the command line: `python -m onramp`."""

from onramp.cli import main

if __name__ == "__main__":
    main()
