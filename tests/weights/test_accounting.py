"""Every tensor is accounted for: each way in which tensors may not fit a module is an error that names them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from triptych.errors import WeightsError
from triptych.weights.accounting import difference, fill, places_of


class Tied(nn.Module):
    """Two names for one table, a persistent buffer, and one that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("positions", torch.arange(4), persistent=False)


def given_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    source = Tied()
    with torch.no_grad():
        source.mean.normal_()
    return {name: tensor.clone() for name, tensor in source.state_dict().items()}


NAMES = sorted(set(given_state()) - {"table.weight", "head.weight"})


def test_all_tensors_in_place_are_copied_into_the_places_precision() -> None:
    module, state = Tied().to(torch.bfloat16), given_state()
    fill(places_of(module), state, "here")
    for name, tensor in module.state_dict().items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, state[name].bfloat16())
    assert module.head.weight is module.table.weight


@given(st.sets(st.sampled_from(NAMES), min_size=1))
@settings(max_examples=30, deadline=None)
def test_every_set_of_missing_tensors_is_named_and_nothing_changes(lost: set[str]) -> None:
    module, state = Tied(), given_state()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsError) as raised:
        fill(places_of(module), {name: t for name, t in state.items() if name not in lost}, "here")
    message = str(raised.value)
    assert message.startswith("here: ")
    assert f"{len(lost)} tensor" in message
    assert "missing" in message
    assert all(name in message for name in sorted(lost)[:5])
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensor: tensor.reshape(-1)[1:],
        lambda tensor: tensor[None],
        lambda tensor: torch.cat([tensor, tensor]),
        lambda tensor: tensor.to(torch.int8),
        lambda tensor: tensor.to(torch.bool),
        lambda tensor: tensor.to(torch.complex64),
    ],
)
def test_another_shape_or_kind_is_named(name: str, spoil: Callable[[Tensor], Tensor]) -> None:
    state = given_state()
    state[name] = spoil(state[name])
    with pytest.raises(WeightsError, match=rf"1 tensor is of another shape or kind \({name} .* instead of"):
        fill(places_of(Tied()), state, "here")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_taken(name: str, dtype: torch.dtype) -> None:
    state = given_state()
    state[name] = state[name].to(dtype)
    assert difference(places_of(Tied()), state).mismatched == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_renamed_tensor_is_missing_under_one_name_and_unexpected_under_the_other(name: str) -> None:
    state = given_state()
    state[f"other.{name}"] = state.pop(name)
    with pytest.raises(
        WeightsError, match=rf"missing \({name}\); the model has no place for 1 tensor \(other.{name}\)"
    ):
        fill(places_of(Tied()), state, "here", hint="try that")


def test_what_the_caller_allows_is_allowed_and_no_more() -> None:
    state = given_state()
    state["text.words"] = state.pop("mean")
    fill(places_of(Tied()), state, "here", may_lack=("mean",), may_have=("text.*",))
    state["layers.3.weight"] = torch.zeros(3, 3)
    with pytest.raises(WeightsError, match=r"the model has no place for 1 tensor \(layers\.3\.weight\)"):
        fill(places_of(Tied()), state, "here", may_lack=("mean",), may_have=("text.*",))


@pytest.mark.parametrize("name", ["table.weight", "head.weight"])
def test_of_tied_tensors_one_is_enough(name: str) -> None:
    module, state = Tied(), given_state()
    del state[name]
    fill(places_of(module), state, "here")
    assert torch.equal(module.head.weight, next(state[n] for n in ("table.weight", "head.weight") if n in state))


def test_tied_tensors_that_differ_are_refused() -> None:
    state = given_state()
    state["head.weight"] = state["head.weight"] + 1
    with pytest.raises(
        WeightsError, match=r"head\.weight differs from table\.weight|table\.weight differs from head\.weight"
    ):
        fill(places_of(Tied()), state, "here")


def test_both_tied_tensors_missing_are_missing() -> None:
    state = given_state()
    del state["table.weight"], state["head.weight"]
    with pytest.raises(WeightsError, match=r"2 tensors are missing \(head\.weight, table\.weight\)"):
        fill(places_of(Tied()), state, "here")
