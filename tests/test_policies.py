"""Are policies found, checked and named as they should be?"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError
from swaptrace.mm.policy import ALIASES, Policy
from swaptrace.replay.engine import replay
from swaptrace.scenario.hardware import Swap
from tests.replay.building import MiB, microbenchmark, scenario

HEADER = "from swaptrace.mm.policy import Policy, SwapinPte\n"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", policies.SERIES)
def test_each_draft_of_the_series_is_registered_under_its_name(name: str) -> None:
    """Is it there, and does it say what it is and where it comes from?"""
    policy = policies.find(name)
    assert policy.name == name
    assert policy.title
    assert policy.origin
    assert policies.available()[name].load() is type(policy)


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_name_the_same_policy(alias: str) -> None:
    """Is the policy behind an alias known by its own name?"""
    assert policies.find(alias).name == ALIASES[alias]


def test_the_series_comes_first_and_in_its_order() -> None:
    """Is the listing in the order of the discussion?"""
    assert tuple(policies.available())[: len(policies.SERIES)] == policies.SERIES


def test_a_policy_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is a policy found that an installed distribution registers in the group?"""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[swaptrace.policies]\nother = other_policy:Other\nbroken = other_policy:Missing\n"
    )
    write(tmp_path / "other_policy.py", HEADER + "class Other(Policy):\n    title = 'other'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert policies.find("other").title == "other"
    assert list(policies.available())[-2:] == ["broken", "other"]
    with pytest.raises(PolicyError, match=r"policy 'broken': cannot load other_policy:Missing"):
        policies.find("broken")


def test_a_misspelt_name_gets_a_suggestion() -> None:
    """Does the error name the nearest policy?"""
    with pytest.raises(PolicyError, match=r"no policy 'prepach'; did you mean 'prepatch'\?"):
        policies.find("prepach")


def test_a_file_defines_a_policy_under_its_own_name(tmp_path: Path) -> None:
    """Is a class in a .py file found, named after the file, and used?"""
    path = write(tmp_path / "mine.py", HEADER + "class Mine(Policy):\n    title = 'mine'\n")
    policy = policies.from_argument(path)
    assert (policy.name, policy.title) == ("mine", "mine")
    assert isinstance(policy, Policy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such policy file"),
        ("x = 1\n", "must define exactly one class .*found: none"),
        (HEADER + "class A(Policy): pass\nclass B(Policy): pass\n", r"found: A, B"),
        ("def broken(:\n", r"bad\.py:1:12: "),
        ("import nothing_of_this_name\n", ":1: ModuleNotFoundError"),
        (
            HEADER + "class A(Policy):\n    def __init__(self):\n        1 / 0\n",
            r"A\(\) raised ZeroDivisionError",
        ),
    ],
)
def test_a_file_that_is_no_policy_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """Does the error name the file and what it must hold?"""
    path = tmp_path / "bad.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PolicyError, match=message) as caught:
        policies.from_argument(str(path))
    assert str(path) in str(caught.value)


NONSENSE = {
    "raises": ("raise KeyError('x')", "swapin_pte() raised KeyError: 'x' (mine.py:4)"),
    "returns nothing": ("pass", "swapin_pte() returned None, not a SwapinPte"),
    "returns a bool": ("return True", "swapin_pte() returned True, not a SwapinPte"),
    "a PTE that is none": ("return SwapinPte(None)", "returned SwapinPte(pte=None"),
    "a flag that is none": ("return SwapinPte(fault.pte, 'yes')", "write_handled='yes'"),
    "never permits": ("return SwapinPte(fault.pte.mkuffd_wp(), True)", None),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_policy_that_answers_nonsense_is_named(tmp_path: Path, what: str) -> None:
    """Does the error say which policy, which question and which answer?"""
    body, message = NONSENSE[what]
    text = f"{HEADER}class Mine(Policy):\n    def swapin_pte(self, fault):\n        {body}\n"
    policy = policies.from_argument(write(tmp_path / "mine.py", text))
    if message is None:  # odd, but do_wp_page() lets the write through in the end
        replay(scenario(*microbenchmark(2 * MiB)), policy)
        return
    with pytest.raises(PolicyError, match="policy 'mine'") as caught:
        replay(scenario(*microbenchmark(2 * MiB)), policy)
    assert message in str(caught.value)


def test_a_policy_that_cannot_free_the_swap_cache_is_checked_as_well(tmp_path: Path) -> None:
    """Are the other decision points asked with the same care?"""
    text = f"{HEADER}class Mine(Policy):\n    def should_free_swap(self, *_):\n        return 1\n"
    policy = policies.from_argument(write(tmp_path / "mine.py", text))
    with pytest.raises(PolicyError, match=r"should_free_swap\(\) returned 1, not a bool"):
        replay(scenario(*microbenchmark(2 * MiB)), policy)


@pytest.mark.parametrize(("answer", "message"), [("0", "returned 0"), ("None", "not a int")])
def test_a_read_ahead_window_of_nothing_is_refused(
    tmp_path: Path, answer: str, message: str
) -> None:
    """Is a window checked before it is used?"""
    body = f"    def readahead_window(self, *_):\n        return {answer}\n"
    policy = policies.from_argument(
        write(tmp_path / "mine.py", f"{HEADER}class Mine(Policy):\n{body}")
    )
    zswap = scenario(*microbenchmark(2 * MiB), swap=Swap(backend="zswap"))
    with pytest.raises(PolicyError, match=message):
        replay(zswap, policy)


DATACLASS = """\
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_type_hints

from swaptrace.mm.policy import Policy

@dataclass
class Kept:
    number: int
    shared: ClassVar[int] = NUMBER

class One(Policy):
    title = "has a dataclass"

    def __init__(self):
        assert get_type_hints(Kept)["number"] is int
        self.kept = Kept(Kept.shared)
"""


def test_a_policy_file_with_a_dataclass_is_found_and_pickled(tmp_path: Path) -> None:
    """Do dataclasses, type hints and pickle find the module that a file has become?"""
    policy: Any = policies.from_file(write(tmp_path / "one.py", DATACLASS.replace("NUMBER", "1")))
    again = pickle.loads(pickle.dumps(policy))
    assert type(again) is type(policy)
    assert again.kept.number == 1


def test_two_policy_files_of_one_name_are_two(tmp_path: Path) -> None:
    """Does each keep its own module, and a file that is loaded again become a third?"""
    found: list[Any] = []
    for number in ("1", "2", "2"):
        directory = tmp_path / number
        directory.mkdir(exist_ok=True)
        text = DATACLASS.replace("NUMBER", number)
        found.append(policies.from_file(write(directory / "one.py", text)))
    assert len({type(policy).__module__ for policy in found}) == 3
    kept = [pickle.loads(pickle.dumps(policy)).kept.number for policy in found]
    assert kept == [1, 2, 2]


HELPED = """\
from swaptrace.mm.policy import Policy
from .helper import title as said

class One(Policy):
    title = said
"""


def test_a_policy_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    """Is a relative import of a neighbour that of the file's own directory, each time?"""
    titles = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "helper.py", f"title = {name!r}\n")
        titles.append(policies.from_file(write(tmp_path / name / "one.py", HELPED)).title)
    assert titles == ["first", "second"]
    plain = HELPED.replace(".helper", "helper")
    hint = r":2: ModuleNotFoundError: .*; import what lies beside the file as `from \.helper "
    with pytest.raises(PolicyError, match=hint):
        policies.from_file(write(tmp_path / "first" / "two.py", plain))


def test_a_policy_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Is neither it nor what it imported among the modules, and is the right file named?"""
    before = set(sys.modules)
    write(tmp_path / "helper.py", "title = 'x'\n")
    with pytest.raises(PolicyError, match=":6: ZeroDivisionError"):
        policies.from_file(write(tmp_path / "one.py", HELPED + "1 / 0\n"))
    write(tmp_path / "helper.py", "title = = 'another'\n")
    with pytest.raises(PolicyError, match=r"helper\.py:1:9: invalid syntax"):
        policies.from_file(write(tmp_path / "one.py", HELPED))
    assert {name for name in set(sys.modules) - before if "swaptrace_policy" in name} == set()


def test_a_binary_file_is_no_policy(tmp_path: Path) -> None:
    """Is it refused by its name, where Python knows no line?"""
    (tmp_path / "bin.py").write_bytes(b"\0\1\2")
    with pytest.raises(
        PolicyError, match=r"bin\.py: source code string cannot contain null bytes$"
    ):
        policies.from_argument(str(tmp_path / "bin.py"))


def test_a_file_of_another_kind_is_no_policy_and_the_kinds_are_said() -> None:
    """Is a scenario that is given for a policy told from a misspelt name?"""
    with pytest.raises(PolicyError, match=r"of files, those that end in \.py, \.c or \.h"):
        policies.from_argument("first.yaml")
