"""JSON Schema as a thing by itself: what its words mean, where a reference leads, whether a value fits."""
