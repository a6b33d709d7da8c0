"""The version of pyrt, in one place: setup.py, the compiled module and the command line read it here."""

VERSION = "0.1.0"
