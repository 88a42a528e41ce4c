"""A run: the model asked, the tools that it calls run, and asked again, until it is done. Without I/O."""
