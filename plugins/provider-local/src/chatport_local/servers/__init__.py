"""The hooks of each server, one module for each; `shared` holds what three or more of them need."""
