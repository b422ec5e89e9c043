"""Is a file of C taken apart as its author meant it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.csource.cfile import blocks_of, definitions, title_of
from swaptrace.errors import PolicyError
from tests.commandline import READ_WRITE, run

STATEMENTS = "if (exclusive) {\n\trmap_flags |= RMAP_EXCLUSIVE;\n}\n"
FREE = "static bool should_free_swap(struct folio *f)\n{\n\treturn true;\n}\n"
REUSE = "bool\nwp_can_reuse_anon_folio(struct folio *f) { return false; }\n"


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (STATEMENTS, {"swapin_pte": 1}),
        (FREE, {"should_free_swap": 1}),
        (STATEMENTS + FREE + REUSE, {"swapin_pte": 1, "should_free_swap": 4, "can_reuse_anon": 8}),
        (FREE + ";\n" + REUSE, {"should_free_swap": 1, "can_reuse_anon": 6}),
        (FREE + STATEMENTS, {"swapin_pte": 5, "should_free_swap": 1}),
        ("#ifdef X\n" + FREE + "#else\n" + REUSE + "#endif\n", {"can_reuse_anon": 7}),
    ],
)
def test_statements_and_functions_are_told_apart(text: str, points: dict[str, int]) -> None:
    """Is each decision found, and does what it consists of begin on this line?"""
    found = blocks_of("it.c", text, ())
    first = {
        point: next(n for n, line in enumerate(block.text.split("\n"), 1) if line.strip())
        for point, block in found.items()
        if point != "swapin_pte" or "#" not in block.text
    }
    assert first == points


def test_a_definition_is_known_by_its_shape() -> None:
    """Are conditions, calls and blocks none?"""
    text = "if (a) { } else if (b) { } { f(x); } foo(a) { } struct folio *g(int a) { } x = y(z);"
    assert [each.name for each in definitions(text)] == ["g"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("/* One line. */\n", "One line."),
        ("// SPDX-License-Identifier: MIT\n/*\n * The idea.\n *\n * More.\n */\n", "The idea."),
        ("\n//  The idea\n// more\n", "The idea"),
        ("pte = pte;\n/* later */\n", ""),
        ("/**/ //\n/*" + "*" * 50 + "*/", ""),
    ],
)
def test_the_title_is_the_first_line_of_the_first_comment(text: str, title: str) -> None:
    """Is the licence passed over, and the decoration taken off?"""
    assert title_of(text) == title


def test_a_policy_is_called_like_its_file(tmp_path: Path) -> None:
    """With the suffix, so that it can be compared with the one that it copies?"""
    file = tmp_path / "final.c"
    file.write_bytes(b"// Mine\r\n" + STATEMENTS.replace("\n", "\r\n").encode())
    policy = policies.from_argument(str(file))
    assert (policy.name, policy.title, policy.origin) == ("final.c", "Mine", str(file))


def test_the_lines_that_decide_are_listed_with_their_numbers(tmp_path: Path) -> None:
    """Does `policies FILE` show what was taken, and what stays the default?"""
    file = tmp_path / "mine.c"
    file.write_text("/* Mine. */\n" + REUSE)
    done = run("policies", file)
    assert done.exit_code == 0, done.output
    assert done.output.split("\n") == [
        "swapin_pte, do_swap_page(): the default, as in Linux 6.10",
        "should_free_swap, should_try_to_free_swap(): the default, as in Linux 6.10",
        f"can_reuse_anon, wp_can_reuse_anon_folio(): {file}",
        "2  bool",
        "3  wp_can_reuse_anon_folio(struct folio *f) { return false; }",
        "",
    ]


def test_define_reaches_the_c_of_every_command(tmp_path: Path) -> None:
    """Does --define make the difference in a replay, and is a value refused?"""
    file, scenario = tmp_path / "mine.c", tmp_path / "it.yaml"
    file.write_text("#ifdef NOW\npte = pte_mkdirty(pte_mkwrite(pte));\n#endif\nret = 0;\n")
    scenario.write_text(READ_WRITE)
    words = ("run", scenario, "--policies", file, "--format", "csv")
    assert run(*words).output != run(*words, "--define", "NOW").output
    for command in ("explain", "explore", "graph"):
        option = "--policies" if command == "explore" else "--policy"
        named = [scenario] if command == "explain" else ["--ops", "read,write,pageout"]
        done = run(command, *named, option, file, "--define", "NOW")
        assert done.exit_code in (0, 1), done.output
    refused = run(*words, "--define", "NOW=1")
    assert refused.exit_code == 2
    assert "'NOW=1' is not a name" in refused.output


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Is the user told to rename one of them?"""
    (tmp_path / "b").mkdir()
    files = [tmp_path / "it.c", tmp_path / "b" / "it.c"]
    for file in files:
        file.write_text(STATEMENTS)
    done = run("compare", "read-then-write", "--policies", ",".join(map(str, files)))
    assert done.exit_code == 2
    assert f"are both called 'it.c'; rename {files[1]}" in done.output


def test_a_missing_file_is_an_error() -> None:
    """Is it named?"""
    with pytest.raises(PolicyError, match=r"^nowhere/it\.c: no such policy file$"):
        policies.from_argument("nowhere/it.c")
