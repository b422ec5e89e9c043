"""Is nothing proved of C files that differ where no question gets to?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import run

REUSES = """\
bool can_reuse_anon(struct folio *folio)
{
	if (folio_test_ksm(folio) || folio_ref_count(folio) > 1 + folio_test_swapcache(folio))
		return false;
	if (folio_ref_count(folio) > MOST)
		return WHICH;
	return !folio_free_swap(folio) || folio_ref_count(folio) == 1;
}
"""


@pytest.mark.parametrize(
    ("which", "code", "said"),
    [
        (("1000", "true", "false"), 3, "return false;: not executed"),
        (("1000", "true", "true"), 0, "proof by equal decisions"),
    ],
)
def test_what_no_question_executes_is_not_decided(
    which: tuple[str, str, str], code: int, said: str, tmp_path: Path
) -> None:
    """Is it named with its file and line, and no word said where both have the same?"""
    most, *answers = which
    files = [tmp_path / "one.c", tmp_path / "two.c"]
    for file, answer in zip(files, answers, strict=True):
        file.write_text(REUSES.replace("MOST", most).replace("WHICH", answer))
    policies = ",".join(map(str, files))
    done = run("explore", "--policies", policies, "--processes", "1", "--ops", "read,write")
    assert done.exit_code == code, done.output
    assert said in done.stdout
