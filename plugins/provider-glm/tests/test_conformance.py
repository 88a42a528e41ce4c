"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

# The vendor answers no 402: an empty account is a 429 with a code of its own (GL-E3).
TestConformance = conformance("glm", statuses=(400, 401, 403, 404, 429, 500, 503))
