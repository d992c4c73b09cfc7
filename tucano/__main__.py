"""`python -m tucano`: the command line."""

from tucano.cli import main

if __name__ == "__main__":
    main()
