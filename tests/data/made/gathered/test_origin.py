"""Groups that are held out, orders, files that are found."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.data.made.folder import Sources
from phosphene.data.made.gathered.origin import gather, hashed, held_out_groups, shuffled


@given(
    st.dictionaries(st.text(max_size=5), st.integers(1, 50), min_size=1, max_size=12),
    st.floats(0, 0.99),
)
def test_whole_groups_near_the_share(sizes, share):
    out = held_out_groups(sizes, share)
    held, total = sum(sizes[group] for group in out), sum(sizes.values())
    assert out < set(sizes), "something is left to train on"
    assert bool(out) == (share > 0 and len(sizes) > 1)
    if len(out) > 1:
        assert abs(held - share * total) <= min(share * total, max(sizes.values()))
    assert held_out_groups(dict(reversed(sizes.items())), share) == out


def test_equal_groups_are_held_out_by_hash_alone():
    sizes = dict.fromkeys(map(str, range(40)), 10)
    first = sorted(sizes, key=hashed)[:4]
    assert held_out_groups(sizes, 0.1) == set(first)
    assert held_out_groups(dict.fromkeys(sizes, 3), 0.1) == set(first)
    after = sorted(sizes, key=hashed)[1:5]
    large = {**sizes, first[0]: 26}  # a third of 0.1 * 416 is 13.9
    assert held_out_groups(large, 0.1) == set(after), "no group of more than a third while there are smaller"
    assert held_out_groups(sizes, 0.0) == frozenset()
    assert held_out_groups({"small": 1, "large": 100}, 0.001) == {"small"}, "one at least, the smallest"


def test_an_order_has_everything_once():
    order = shuffled(100, 3, 1)
    assert sorted(order) == list(range(100))
    assert order == shuffled(100, 3, 1)
    assert order != shuffled(100, 4, 1)
    assert order != shuffled(100, 3, 2)
    assert hashed("a") == hashed("a") != hashed("b")


def test_files_are_sorted_and_no_links(tmp_path):
    for name in ("b/two.TTF", "a/one.ttf", "a/text.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/copy.ttf").symlink_to(tmp_path / "a/one.ttf")
    (tmp_path / "folder.ttf").mkdir()
    origin = gather(Sources((tmp_path, tmp_path / "a")), ("never-fetched",))
    assert [found.name for found in origin.files(".ttf")] == ["a/one.ttf", "b/two.TTF", "one.ttf"]
    assert origin.settings == {"from": [str(tmp_path), str(tmp_path / "a")]}
    assert str(tmp_path) in origin.words
    assert Counter(found.package for found in origin.files(".txt")) == {None: 2}


@pytest.mark.parametrize("count", [0, 1])
def test_small_orders(count):
    assert shuffled(count, 0, 0) == list(range(count))
