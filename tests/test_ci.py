"""Do the CI jobs of docs/ci work: are they well-formed, and do their shell lines do the job?

The lines are taken from the YAML files and run as GitHub and GitLab run them, in a git repository
with commits of a policy. What is left to the servers is to check out and to set variables.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

from tests.commandline import READ_WRITE, ROOT
from tests.effort import exhaustive, some
from tests.processes import completed
from tests.shell import Done, bash

CI = ROOT / "docs" / "ci"
ACTION = yaml.safe_load((CI / "action.yml").read_text())
WORKFLOW = yaml.safe_load((CI / "github-workflow.yml").read_text())
GITLAB = yaml.safe_load((CI / "gitlab-ci.yml").read_text())["swaptrace"]
INSTALL, COMPARE = ACTION["runs"]["steps"]

SCENARIOS = Path("my scenarios")
POLICY = Path("under review/mine.py")
INPUTS = {"scenarios": f"{SCENARIOS}\n", "policies": f"prepatch, {POLICY}"}
RESULTS = "results of it"

MINE = """\
from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Mine(Policy):
    title = "Writable on a read fault as well"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte = fault.carry_bits(fault.pte)
        if fault.reusable and fault.vma.writable:
            pte = pte.mkwrite()
        if fault.write:
            pte = pte.mkdirty()
        return SwapinPte(pte, fault.write, exclusive=fault.reusable)
"""
WORSE = MINE.replace("vma.writable:", "vma.writable and fault.write:")
BROKEN = MINE.replace("class", "clas")
CHANGED = "| read-write | mine | back_in | minflt | 0 | 4 |"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, in a directory whose name has a blank in it."""
    work = tmp_path / "work tree"
    work.mkdir()
    monkeypatch.chdir(work)
    git("init -q")
    return work


def git(arguments: str) -> str:
    done = bash(f"git {arguments}")
    assert done.code == 0, done.stderr
    return done.stdout.strip()


def commit(policy: str | None = MINE, scenario: str | None = READ_WRITE) -> str:
    """A commit of what is given; its hash."""
    for path, text in ((POLICY, policy), (SCENARIOS / "rw.yaml", scenario)):
        if text is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    git("add --all")
    git("commit -q --allow-empty -m 'mm: try something'")
    return git("rev-parse HEAD")


def github(inputs: dict[str, str] | None = None, branch: str = "") -> Done:
    """What the action's step does; the summary stands for its standard output."""
    given = {name: each["default"] for name, each in ACTION["inputs"].items()}
    given |= INPUTS | (inputs or {})
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in COMPARE["env"].items()
    }
    runner = Path("..").resolve()
    summary = runner / "summary of it.md"
    summary.write_text("## before\n")
    env |= {
        "GITHUB_ACTION_PATH": str(CI),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_BASE_REF": branch,
        "RUNNER_TEMP": str(runner),
    }
    done = bash(COMPARE["run"], env)
    assert summary.read_text() == f"## before\n{done.stdout}"
    return done


def gitlab(base: str, before: str) -> Done:
    """What the job's script does."""
    env = GITLAB["variables"] | {
        "SCENARIOS": INPUTS["scenarios"],
        "POLICIES": INPUTS["policies"],
        "SWAPTRACE": "../swaptrace",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_COMMIT_BEFORE_SHA": before,
    }
    source = Path("../swaptrace/source")
    source.parent.mkdir()
    source.symlink_to(ROOT)
    return bash("\n".join(GITLAB["script"]), env)


# The files.


@exhaustive
@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "github-workflow.yml"),
        ("gitlab-ci", "gitlab-ci.yml"),
    ],
)
def test_does_it_fit_the_published_schema(schema: str, file: str) -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = completed([*checker, str(CI / file)], text=True)
    assert done.returncode == 0, done.stdout


def test_does_no_input_get_into_the_text_of_a_command() -> None:
    for step in (INSTALL, COMPARE):
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    asked = set(re.findall(r"inputs\.([\w-]+)", str(COMPARE["env"])))
    assert asked == set(ACTION["inputs"])
    used = WORKFLOW["jobs"]["fault-counts"]["steps"][-1]
    assert used["uses"] == "OWNER/swaptrace/docs/ci@main"
    assert set(used["with"]) <= asked


def test_is_what_gets_installed_this_project() -> None:
    (source,) = re.findall(r'pip" install --quiet "\$GITHUB_ACTION_PATH/([./]+)"', INSTALL["run"])
    assert (CI / source).resolve() == ROOT
    assert 'pip" install --quiet "$SWAPTRACE/source"' in "\n".join(GITLAB["before_script"])
    assert (ROOT / "pyproject.toml").exists()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_has_shellcheck_nothing_to_say() -> None:
    done = completed(["shellcheck", CI / "compare.sh"], text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_is_an_input_never_taken_for_a_command() -> None:
    commit()
    hostile = '$(touch made)`touch made`"; touch made #'
    assert github(dict.fromkeys(ACTION["inputs"], hostile)).code == 2
    assert not Path("made").exists()


# A change of the policy.


@exhaustive
def test_does_it_pass_when_nothing_changes() -> None:
    base = commit(MINE, READ_WRITE)[:7]
    commit(scenario=None)
    done = github()
    assert done.code == 0, done.stderr
    assert f"old.json is of the base, {base};" in done.stdout
    assert "no difference" in done.stdout
    assert git("worktree list --porcelain").count("worktree ") == 1


def test_does_it_fail_with_a_table_when_one_line_is_changed() -> None:
    commit()
    commit(WORSE)
    done = github()
    assert done.code == 1
    assert CHANGED in done.stdout
    assert "--fail-on increase: read-write: mine, back_in: minflt was 0, is 4" in done.stderr


@exhaustive
@pytest.mark.parametrize("inputs", some([{"threshold": "minflt=4"}, {"fail-on": ""}], 1))
def test_is_a_change_that_may_be_shown_and_no_failure(inputs: dict[str, str]) -> None:
    commit()
    commit(WORSE)
    done = github(inputs)
    assert (done.code, done.stderr) == (0, "")
    assert CHANGED in done.stdout


@exhaustive
def test_does_it_fail_for_every_kind_that_was_named() -> None:
    lost = READ_WRITE.replace("  - madvise", "  - clear_refs: soft_dirty\n  - madvise")
    careful = MINE.replace("vma.writable:", "vma.writable and not fault.vma.soft_dirty_enabled:")
    commit(careful, lost.split("expect:")[0])
    commit(MINE, None)
    done = github({"fail-on": "violation  change"})
    assert done.code == 1
    assert "--fail-on change: read-write: mine, back_in: wp_reuse was 4, is 0" in done.stderr
    assert "--fail-on violation: read-write: mine: new: lost_soft_dirty" in done.stderr


@exhaustive
def test_does_a_failed_expectation_fail_it_whatever_the_base_says() -> None:
    wrong = READ_WRITE.replace("majflt: 4}", "majflt: 3}")
    commit(MINE, wrong)
    commit()
    commit(MINE, wrong)
    done = github({"base": "HEAD~2"})
    assert done.code == 1
    assert "    expect: read-write: back_in, prepatch: majflt is 4, expected 3\n" in done.stdout
    assert "no difference" in done.stdout


@exhaustive
def test_is_wrong_input_told_in_the_summary() -> None:
    commit()
    commit(BROKEN)
    done = github()
    assert done.code == 2
    assert "The scenarios cannot be replayed:\n\n    Error: " in done.stdout
    assert "mine.py" in done.stdout


# The base.


@exhaustive
def test_is_a_pull_request_compared_with_where_it_left_its_branch(here: Path) -> None:
    """Also where the files are below the top of the repository."""
    with pytest.MonkeyPatch.context() as patch:
        (here / "below").mkdir()
        patch.chdir(here / "below")
        base = commit()[:7]
        git("checkout -q -b topic")
        commit(WORSE)
        commit(WORSE + "# more\n")
        git("checkout -q main")
        commit(MINE + "# later\n")
        git("clone -q --branch topic .. ../../clone")
        patch.chdir(here.parent / "clone" / "below")
        done = github(branch="main")
    assert done.code == 1
    assert f"old.json is of the base, {base};" in done.stdout
    assert CHANGED in done.stdout


@exhaustive
def test_is_there_nothing_to_compare_with_at_the_first_commit() -> None:
    commit()
    done = github({"base": "0" * 40})
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == "This is the first commit: nothing to compare with.\n"


@exhaustive
@pytest.mark.parametrize(("policy", "scenario"), some([(None, READ_WRITE), (MINE, None)], 1))
def test_may_the_base_lack_the_files(policy: str | None, scenario: str | None) -> None:
    """A new policy is shown beside what was there before; without a scenario there is nothing."""
    commit(policy, scenario)
    commit()
    done = github()
    assert done.code == 0
    new = (
        "has no such scenarios or policies: nothing"
        if scenario is None
        else "new: read-write: policy mine"
    )
    assert new in done.stdout


@exhaustive
def test_does_a_broken_base_stop_nobody_from_repairing_it() -> None:
    commit(BROKEN)
    commit()
    done = github()
    assert done.code == 0
    assert "cannot be replayed:\n\n    Error: " in done.stdout


@exhaustive
def test_is_a_shallow_clone_told(here: Path) -> None:
    commit()
    commit()
    git("clone -q --depth 1 file://$(pwd | sed 's/ /%20/g') ../clone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here.parent / "clone")
        done = github()
    assert done.code == 2
    assert "This clone has no commit that HEAD^ and HEAD share. Is it shallow?" in done.stdout


# GitLab.


@exhaustive
def test_does_the_job_of_gitlab_fail_with_a_table_and_a_test_report() -> None:
    base = commit()
    commit(WORSE)
    commit(WORSE + "# more\n")
    done = gitlab(base, "0" * 40)
    assert done.code == 1
    assert "read-write  mine    back_in  minflt      0    4    +4      new" in done.stdout
    report = JUnitXml.fromfile(GITLAB["artifacts"]["reports"]["junit"])
    assert (report.tests, report.failures) == (2, 1)


@exhaustive
def test_is_a_push_to_gitlab_compared_with_what_was_there() -> None:
    before = commit()
    commit(WORSE)
    commit(WORSE + "# more\n")
    done = gitlab("", before)
    assert done.code == 1
    assert f"old.json is of the base, {before[:7]};" in done.stdout
