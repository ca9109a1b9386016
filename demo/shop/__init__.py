"""The loyalty-points service that `make demo` puts under a flash crowd: orders produce, consumers deduct points."""
