"""Everything about brokers: who may do what (`rights`), the configuration of each kind, and the child process."""
