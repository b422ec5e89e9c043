"""Is a commit of a git repository a tree like any other, and does nothing of the repository run?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.policies import from_argument
from tests.commandline import run
from tests.effort import exhaustive, some
from tests.ktree.making import MEMORY, diff
from tests.processes import completed

SMALL = Path(__file__).parent / "whole" / "after"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(where: Path, *words: str) -> str:
    names = {
        f"GIT_{who}_{what}": "a@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    kept = {"PATH": os.environ["PATH"], "HOME": str(where), "GIT_CONFIG_NOSYSTEM": "1", **names}
    done = completed(["git", *words], cwd=where, env=kept, check=True)
    return str(done.stdout.decode().strip())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with two commits; in the second one do_swap_page() is renamed."""
    tree = Path(shutil.copytree(SMALL, tmp_path / "linux"))
    git(tree, "init", "-q", "-b", "main")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "one")
    git(tree, "tag", "v7.3")
    text = (tree / MEMORY).read_text()
    (tree / MEMORY).write_text(text.replace("vm_fault_t do_swap_page", "vm_fault_t other"))
    git(tree, "commit", "-q", "-a", "-m", "two")
    return tree


def found(text: str) -> TreePolicy:
    policy = from_argument(text)
    assert isinstance(policy, TreePolicy)
    return policy


@pytest.mark.parametrize("revision", some(["v7.3", "main~1", "HEAD^"], 1))
def test_a_revision_is_read_and_not_what_is_checked_out(repository: Path, revision: str) -> None:
    """With its version, its functions and the name that the user gave?"""
    policy = found(f"kernel:{repository}@{revision}")
    assert (policy.kernel, policy.undecided) == ("7.3", ())
    file = policy.program.functions["do_swap_page"].definition.source.file
    assert file == f"{repository}@{revision}/{MEMORY}"
    with pytest.raises(PolicyError, match=r"the tree has no function do_swap_page\(\)"):
        found(f"kernel:{repository}@main")


def test_a_bare_repository_and_a_patch_will_do(repository: Path, tmp_path: Path) -> None:
    """Is the patch applied to the commit, and named in messages?"""
    bare = tmp_path / "linux.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    text = (SMALL / MEMORY).read_text()
    patch = tmp_path / "fix.patch"
    patch.write_text(diff(text, text.replace("	return exclusive &&", "	return")))
    policy = found(f"kernel:{bare}@v7.3+{patch}")
    source = policy.program.functions["should_try_to_free_swap"].definition.source
    assert source.file == f"{bare}@v7.3/{MEMORY}+fix.patch"
    assert policy.undecided == ()
    patch.write_text(diff("int a;\n", "int b;\n"))
    with pytest.raises(PolicyError, match=f"does not apply to {MEMORY} of {bare}@v7.3"):
        found(f"kernel:{bare}@v7.3+{patch}")


@pytest.mark.parametrize(
    "revision", some(["nothing", "v7.3:mm", "--help", "a b", "v7.3^{tree}"], 2)
)
def test_what_is_no_commit_is_refused(repository: Path, revision: str) -> None:
    """With exit code 2 and its name?"""
    done = run("policies", f"kernel:{repository}@{revision}")
    assert done.exit_code == 2
    assert revision in done.stderr


@exhaustive
def test_a_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """Neither filters, hooks or monitors, nor the command of a partial clone for what it lacks?"""
    proof = tmp_path / "it-ran"
    command = f"touch {proof}; cat"
    (repository / ".gitattributes").write_text("*.c filter=evil diff=evil\n")
    git(repository, "config", "extensions.partialClone", "evil")
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "remote.evil.promisor": "true",
        "remote.evil.url": str(tmp_path / "nowhere"),
        "remote.evil.uploadpack": command,
        "core.fsmonitor": command,
        "core.sshCommand": command,
        "filter.evil.smudge": command,
        "filter.evil.clean": command,
        "diff.evil.textconv": command,
    }.items():
        git(repository, "config", key, value)
    blob = git(repository, "rev-parse", "v7.3:Makefile")
    policy = found(f"kernel:{repository}@v7.3")
    assert policy.kernel == "7.3"
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert found(f"kernel:{repository}@v7.3").kernel == ""
    assert not proof.exists()


def test_a_path_with_a_sign_at_is_a_path(tmp_path: Path) -> None:
    """If there is something of that name?"""
    tree = shutil.copytree(SMALL, tmp_path / "linux@7.3")
    assert found(f"kernel:{tree}").kernel == "7.3"
