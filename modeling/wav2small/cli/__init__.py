"""The command line: arguments in; tables, files and one-line errors out."""
