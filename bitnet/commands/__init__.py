"""One file a verb, each short: compose, validate, build, run, report."""
