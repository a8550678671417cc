"""Who moves which weight, the rate at each step, and states that continue bit for bit."""

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import AdamW

from phosphene.networks import build as networks
from phosphene.networks.transformer import TransformerConfig
from phosphene.networks.unet import UNetConfig
from phosphene.training.muon import Muon
from phosphene.training.optimizer import (
    Optimizers,
    build,
    export_state,
    import_state,
    rate,
)


class Small(nn.Module):
    """One of each kind of weight."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.table = nn.Parameter(torch.randn(1, 4, 1, 1))
        self.label = nn.Embedding(3, 4)
        self.body = nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, padding=1), nn.SiLU())
        self.twin = nn.Conv2d(4, 4, 3, padding=1)
        self.twin.weight.data = self.twin.weight.data.contiguous(memory_format=torch.channels_last)
        self.last = nn.Linear(4, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.idle = nn.Linear(2, 2)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        h = self.first(x) + self.table + self.label(label)[:, :, None, None]
        return self.last(self.twin(self.body(h)).mean((2, 3)))


OUTER = ("first", "last", "table")


def places(network: nn.Module, optimizers: Optimizers) -> dict[str, tuple[type, float]]:
    """The optimizer and the decay of every weight."""
    names = {weight: name for name, weight in network.named_parameters()}
    found: dict[str, tuple[type, float]] = {}
    for part in optimizers.parts:
        for group in part.param_groups:
            for weight in group["params"]:
                assert names[weight] not in found
                found[names[weight]] = (type(part), group["weight_decay"])
    return found


UNDECAYED = (
    *("first.bias", "label.weight", "body.0.weight", "body.0.bias", "body.1.bias", "twin.bias"),
    *("last.bias", "idle.bias"),
)
FREE = dict.fromkeys(UNDECAYED, (AdamW, 0.0))


def test_muon_gets_the_hidden_weights():
    network = Small()
    assert places(
        network, build(network, learning_rate=1.0, weight_decay=0.1, muon=True, outer=OUTER)
    ) == FREE | {
        **dict.fromkeys(("body.1.weight", "twin.weight", "idle.weight"), (Muon, 0.1)),
        **dict.fromkeys(("first.weight", "table", "last.weight"), (AdamW, 0.1)),
    }


def test_adamw_gets_all():
    network = Small()
    matrices = ("first.weight", "table", "body.1.weight", "twin.weight", "last.weight", "idle.weight")
    expected = FREE | dict.fromkeys(matrices, (AdamW, 0.1))
    assert places(network, build(network, learning_rate=1.0, weight_decay=0.1, outer=OUTER)) == expected
    assert places(network, build(network, learning_rate=1.0, weight_decay=0.1)) == expected


def test_a_name_is_not_the_start_of_another():
    network = nn.ModuleDict({"a": nn.Linear(2, 2), "ab": nn.Linear(2, 2)})
    found = places(network, build(network, learning_rate=1.0, muon=True, outer=["a"]))
    assert found["a.weight"][0] is AdamW
    assert found["ab.weight"][0] is Muon


def test_head_tied_to_an_embedding_is_an_embedding():
    network = nn.ModuleDict({"head": nn.Linear(4, 5, bias=False), "label": nn.Embedding(5, 4)})
    network["head"].weight = network["label"].weight
    found = places(network, build(network, learning_rate=1.0, weight_decay=0.1, muon=True))
    assert found == {"head.weight": (AdamW, 0.0)}


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(1, 1, widths=(8, 8), attention=(False, True), classes=5, token_width=6, augment=9),
        TransformerConfig(1, 1, 2, 16, 1, 8, classes=5, token_width=6, augment=9),
    ],
    ids=["unet", "transformer"],
)
def test_tables_of_our_networks_are_embeddings(config: UNetConfig | TransformerConfig):
    """Labels' rows and the null token: neither orthogonalized nor decayed."""
    network = networks.build(config)
    found = places(
        network,
        build(network, learning_rate=1.0, weight_decay=0.1, muon=True, outer=networks.outer(network)),
    )
    assert found["embedding.label.weight"] == (AdamW, 0.0)
    assert found["embedding.tokens.null"] == (AdamW, 0.0)
    assert found["embedding.tokens.linear.weight"] == (Muon, 0.1)


def test_only_matrices_need_no_adamw():
    (only,) = build(nn.Linear(2, 2, bias=False), learning_rate=1.0, muon=True).parts
    assert isinstance(only, Muon)


def test_settings_arrive():
    network = Small()
    muon, adamw = build(
        network,
        learning_rate=0.3,
        weight_decay=0.2,
        betas=(0.8, 0.7),
        eps=1e-3,
        muon=True,
        momentum=0.6,
        outer=OUTER,
        dtype=torch.bfloat16,
    ).parts
    group = muon.param_groups[0]
    assert [group[key] for key in ("lr", "weight_decay", "momentum", "dtype")] == [
        0.3,
        0.2,
        0.6,
        torch.bfloat16,
    ]
    for group in adamw.param_groups:
        assert [group[key] for key in ("lr", "betas", "eps", "fused")] == [0.3, (0.8, 0.7), 1e-3, True]


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"outer: Small has no weights in 'frist'; did you mean 'first'\?"):
        build(Small(), learning_rate=1.0, outer=["frist"])
    with pytest.raises(ValueError, match=r"no weights in 'body.7'; did you mean 'body.[01]'\?"):
        build(Small(), learning_rate=1.0, outer=["body.7"])
    with pytest.raises(ValueError, match=r"'xyz'; its layers are \['body', 'first', 'frozen', 'idle', "):
        build(Small(), learning_rate=1.0, outer=["xyz"])
    with pytest.raises(ValueError, match=r"Linear has no weight that wants a gradient"):
        build(nn.Linear(2, 2).requires_grad_(False), learning_rate=1.0)


def train(network: Small, optimizers: Optimizers, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        x, y = torch.randn(5, 2, 6, 6, generator=generator), torch.randn(5, 2, generator=generator)
        optimizers.set_rate(0.01 * rate(step, 3, 10, 0.5))
        optimizers.zero_grad()
        ((network(x, torch.arange(5) % 3) - y) ** 2).mean().backward()
        optimizers.step()


@pytest.mark.parametrize("muon", [False, True])
def test_resumed_is_equal_bit_for_bit(muon: bool):
    def fresh() -> tuple[Small, Optimizers]:
        network = Small()
        return network, build(network, learning_rate=1.0, weight_decay=0.1, muon=muon, outer=OUTER)

    network, optimizers = fresh()
    train(network, optimizers, range(5))
    state = export_state(optimizers, dict(network.named_parameters()))
    stored = save({name: value.contiguous() for name, value in state.items()})
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    train(network, optimizers, range(5, 10))

    resumed, others = fresh()
    resumed.load_state_dict(weights)
    tensors = load(stored)
    kept = {name: value.clone() for name, value in tensors.items()}
    import_state(others, dict(resumed.named_parameters()), tensors)
    train(resumed, others, range(5, 10))
    for name, value in network.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    ours, theirs = (
        export_state(o, dict(n.named_parameters())) for n, o in ((network, optimizers), (resumed, others))
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(theirs[name], value)
        assert theirs[name].stride() == value.stride()
        assert torch.equal(tensors[name], kept[name])  # copied in, not taken


def test_what_is_stored():
    network = Small()
    optimizers = build(network, learning_rate=1.0, muon=True, outer=OUTER)
    train(network, optimizers, range(2))
    state = export_state(optimizers, dict(network.named_parameters()))
    adamw = [f"{name}.{of}" for name in ("first", "last") for of in ("weight", "bias")]
    adamw += ["table", "label.weight", "body.0.weight", "body.0.bias", "body.1.bias", "twin.bias"]
    assert set(state) == {f"{name}/{key}" for name in adamw for key in ("step", "exp_avg", "exp_avg_sq")} | {
        f"{name}.weight/momentum_buffer" for name in ("body.1", "twin")
    }
    assert state["table/step"] == 2


def test_import_replaces_what_was_there_and_keeps_the_rate():
    network = Small()
    optimizers = build(network, learning_rate=1.0)
    train(network, optimizers, range(2))
    optimizers.set_rate(0.125)
    weights = dict(network.named_parameters())
    import_state(optimizers, weights, {})
    assert export_state(optimizers, weights) == {}
    assert [group["lr"] for part in optimizers.parts for group in part.param_groups] == [0.125, 0.125]


def test_states_of_others_are_refused():
    network = Small()
    weights = dict(network.named_parameters())
    muon, adamw = (build(network, learning_rate=1.0, muon=yes, outer=OUTER) for yes in (True, False))
    train(network, adamw, range(1))
    state = export_state(adamw, weights)
    with pytest.raises(
        ValueError, match=r"optimizer state: body.1.weight/exp_avg belongs to no weight of these"
    ):
        import_state(muon, weights, state)
    with pytest.raises(ValueError, match=r"optimizer state: last.bias/exp_avg_sq is missing"):
        import_state(adamw, weights, {name: v for name, v in state.items() if name != "last.bias/exp_avg_sq"})
    with pytest.raises(ValueError, match=r"last.bias/exp_avg has shape \(3,\), the weight has \(2,\)"):
        import_state(adamw, weights, state | {"last.bias/exp_avg": torch.zeros(3)})


def test_one_step_of_adamw():
    network = nn.Linear(3, 2)
    optimizers = build(network, learning_rate=0.1, weight_decay=0.5, eps=0.0)
    weight, bias = network.weight.detach().clone(), network.bias.detach().clone()
    (network.weight.sum() * 3 - network.bias.sum()).backward()
    optimizers.step()
    # The first step is lr * sign(gradient); the decay of a matrix is lr * decay * weight.
    torch.testing.assert_close(network.weight.detach(), weight * (1 - 0.05) - 0.1)
    torch.testing.assert_close(network.bias.detach(), bias + 0.1)
    optimizers.zero_grad()
    assert network.weight.grad is None


def test_rate_at_each_step():
    assert [rate(s, 4, 10, 0.4) for s in range(11)] == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    )
    assert [rate(s, 1, 10, 0.0) for s in (0, 5, 9)] == [1, 1, 1]
    assert rate(12, 1, 10, 0.5) == 0
    assert rate(0, 100, 10, 1.0) == pytest.approx(0.01)
    assert rate(5, 10, 10, 1.0) == pytest.approx(0.6 * 0.5)
