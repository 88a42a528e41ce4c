"""The hooks of each server: what its facts cannot say, one module for each."""
