"""What the tests of this package share: a client that sends nothing, and one that talks to the emulator in process."""

from chatport.testing.pytest_plugin import provider_fixtures

isolated, explain, notes, emulated = provider_fixtures("cerebras", model="gpt-oss-120b")
