"""What a server of one's own costs: nothing, at an address of one's own, and unknown anywhere else."""

import pytest

import chatport
from chatport.testing import Emulator

SERVERS = ("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local")


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_on_this_machine_costs_nothing_and_fits_any_budget(name):
    emulator = Emulator(name)
    with chatport.Client(emulator.config(), transport=emulator) as client, client.budget(usd=0) as budget:
        reply = client.chat("say: hi", model=f"{name}:{emulator.vendor.models[0]}", max_tokens=20)
    assert reply.cost == chatport.Cost(0.0, "USD", "list price, nobody bills it")
    assert (budget.spent_usd, budget.has_unknown) == (0, False)


@pytest.mark.parametrize("name", SERVERS)
def test_behind_a_public_address_somebody_may_bill_it(name):
    emulator = Emulator(name)
    config = {"providers": {name: {"base_url": "https://llm.acme.example/v1", "api_key": "k"}}}
    refused = pytest.raises(chatport.BudgetExceededError, match="not known")
    with chatport.Client(config, transport=emulator) as client, client.budget(usd=1), refused:
        client.chat("say: hi", model=f"{name}:m", max_tokens=20)
    config["providers"][name]["free"] = True
    with chatport.Client(config, transport=emulator) as client:
        assert client.facts(f"{name}:m").prices[0].output == 0
