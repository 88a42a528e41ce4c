"""Together AI for Chatport: where it is, what it does differently, and what is known of its models."""

from __future__ import annotations

from chatport import Dialect, Provider, load_facts

from . import request

__all__ = ["provider"]

provider = Provider(
    name="together",
    title="Together AI",
    base_url="https://api.together.xyz/v1",  # TG-B1: the older of two addresses, and the one the docs use
    hosts=("api.together.ai",),  # TG-B1: the other one takes the same keys
    key_env=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY"),  # TG-B3: the later two are other SDKs'
    base_url_env=("TOGETHER_BASE_URL",),  # TG-B3
    dialect=Dialect(
        reasoning_field="reasoning",  # TG-R1: under the key it came in
        # TG-S3, TG-I1: the list of words has grown before. `error` is a failure, `eos` an ordinary end.
        finish_reasons={"eos": "stop", "error": "error"},
        request_id_headers=("x-request-id", "x-together-traceid"),  # TG-H3
    ),
    settings={"debug": "any text: ask for the vendor's timing headers, in x-together-debug"},
    settings_headers={"debug": "x-together-debug"},  # TG-B2
    facts=load_facts("chatport_together"),
    hooks=(request,),
    emulator="chatport_together.emulator:TogetherEmulator",
)
