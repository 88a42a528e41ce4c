"""What the tests of this package share: clients that send nothing, and ones that talk to the emulators in process."""

from chatport.testing.pytest_plugin import isolated_fixture, provider_fixtures

_, explain, notes, emulated = provider_fixtures("gemini", model="gemini-3.5-flash")
_, explain_vertex, _, emulated_vertex = provider_fixtures("vertex", model="gemini-3.5-flash")
isolated = isolated_fixture("gemini", "vertex")
