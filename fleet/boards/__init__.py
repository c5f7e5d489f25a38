"""Use cases of the bench: what a person or a script does with boards at serial ports."""
