"""What `make demo` plays, and the real parts it plays on."""
