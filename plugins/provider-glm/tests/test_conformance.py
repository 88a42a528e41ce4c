"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

# The vendor's business codes (GL-E1 to GL-E16); `error:` takes them like a status.
_CODES = (1000, 1001, 1113, 1210, 1211, 1213, 1214, 1220, 1234, 1261, 1301, 1302, 1305, 1308, 1311, 1313)
# The vendor answers no 402: an empty account is a 429 with a code of its own (GL-E3).
TestConformance = conformance(
    "glm",
    statuses=(400, 401, 403, 404, 429, 500, 503),
    error_codes=_CODES,
    quirks=86,
    context_unknown={"glm-4v-plus": "the vendor's pages no longer show this older model; other sources differ"},
)
