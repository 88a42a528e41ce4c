"""The hooks of each server, one module for each; `shared` holds what several of them need."""
