"""Do scenarios become tests of pytest, and does pytest say what is wrong?"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from swaptrace import inputs, policies
from swaptrace.replay import engine
from swaptrace.replay import scenarios as commands
from swaptrace.scenario import loader
from tests.commandline import LOST, READ_WRITE, ROOT, environment

# Imported here, for what a run within the test imports first is forgotten after it, and numpy
# must not be imported twice.
from tests.effort import exhaustive, some
from tests.processes import completed

PLUGIN = "swaptrace.pytest_plugin"
KEPT = (commands, inputs, policies, engine, loader)

WRONG = READ_WRITE.replace("new: {minflt: 0", "new: {minflt: 3")
LOSES = LOST + "expect: {total: {simple: {minflt: 4, majflt: 1}}}\n"

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in an empty directory, without the plug-ins that are installed, which take long to
    load; this one may not be yet."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda *arguments: pytester.runpytest_inprocess("-p", PLUGIN, *arguments)


def write(pytester: pytest.Pytester, **texts: str) -> None:
    """Scenario files, by their names without .yaml; `__` stands for `/`, and `_` for a dot."""
    for name, text in texts.items():
        path = pytester.path / (name.replace("__", "/").replace("_", ".") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_is_the_plug_in_where_the_package_says() -> None:
    """Does the entry point name a module that is there?"""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"swaptrace": PLUGIN}
    assert find_spec(PLUGIN)
    assert not any("pytest" in dependency for dependency in project["dependencies"])


def test_a_file_is_known_by_its_name(pytester: pytest.Pytester, run: Run) -> None:
    """Is *.swaptrace.yaml collected, with a test per policy, and no other file?"""
    write(pytester, sub__rw_swaptrace=READ_WRITE, other="not: a scenario")
    result = run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["sub/rw.swaptrace.yaml::prepatch PASSED*", "sub/rw.swaptrace.yaml::final PASSED*"]
    )


def test_files_and_directories_are_named(pytester: pytest.Pytester, run: Run) -> None:
    """Does --swaptrace take both, besides the tests that there are, and each file once?"""
    write(pytester, dir__a=READ_WRITE, dir__b=READ_WRITE, c=READ_WRITE, d="x: y")
    pytester.makepyfile(test_it="def test_it(): pass")
    result = run("-v", "--swaptrace", "dir", "--swaptrace", "c.yaml", "--swaptrace", "dir/a.yaml")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["c.yaml::final PASSED*", "dir/b.yaml::final PASSED*"])


def test_one_alone_can_be_run(pytester: pytest.Pytester, run: Run) -> None:
    """May a node's id be given, or a word of it?"""
    write(pytester, rw_swaptrace=READ_WRITE, c=READ_WRITE)
    run("rw.swaptrace.yaml::final").assert_outcomes(passed=1)
    run("--swaptrace", "c.yaml", "c.yaml", "-k", "prepatch").assert_outcomes(passed=1, deselected=1)


def test_a_bundled_scenario_by_name(run: Run) -> None:
    """Does --swaptrace know what `swaptrace run` knows?"""
    run("--swaptrace", "write-only").assert_outcomes(passed=7)


def test_a_failure_says_what_was_expected_and_what_was_counted(
    pytester: pytest.Pytester, run: Run
) -> None:
    """Is the report a table of what differs, without a traceback?"""
    write(pytester, rw_swaptrace=WRONG)
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ read-write under final _*",
            "rw.swaptrace.yaml under final: 1 of 2 expected values differ",
            "",
            "window   counter  expected  actual",
            "back_in  minflt          3       0",
            "*= short test summary info =*",
            "FAILED rw.swaptrace.yaml::final*",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_a_failure_shows_the_broken_promises(pytester: pytest.Pytester, run: Run) -> None:
    """Are violations told with the step, the line and the pages?"""
    write(pytester, lost_swaptrace=LOSES)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "window  counter  expected  actual",
            "total   majflt          1       4",
            "",
            "violation: lost_soft_dirty: step 5, line 10, process main, region buf, "
            "4 pages from page 0 on",
        ],
        consecutive=True,
    )


def test_a_wrong_file_is_a_collection_error(pytester: pytest.Pytester, run: Run) -> None:
    """Does the loader's message stand there, with the caret and nothing around it?"""
    write(pytester, sub__rw_swaptrace=READ_WRITE.replace("mmap", "mmpa"))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*_ ERROR collecting sub/rw.swaptrace.yaml _*",
            "sub/rw.swaptrace.yaml:4:5: unknown operation 'mmpa'; did you mean 'mmap'?",
            "      - mmpa: buf",
            "        ^",
            "*= short test summary info =*",
        ],
        consecutive=True,
    )


def test_a_policy_that_there_is_not(pytester: pytest.Pytester, run: Run) -> None:
    """Is an expectation that nobody can check no success?"""
    write(pytester, rw_swaptrace=READ_WRITE.replace("new:", "fnal:"))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["rw.swaptrace.yaml:16:5: expect: no policy 'fnal'; did you mean 'final'?*"]
    )


def test_a_policy_that_there_is_not_among_those_that_are_chosen(
    pytester: pytest.Pytester, run: Run
) -> None:
    """Is a typing mistake an error, whichever policies are to be replayed?"""
    write(pytester, rw_swaptrace=READ_WRITE.replace("new:", "fnal:"))
    result = run("--swaptrace-policies", "prepatch")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["rw.swaptrace.yaml:16:5: expect: no policy 'fnal'*"])


def test_a_system_call_that_is_refused_fails(pytester: pytest.Pytester, run: Run) -> None:
    """Is what only the replay finds wrong told in its words?"""
    text = "steps: [{mmap: a, size: 8KiB}, {munmap: a}, {mlock: a}]\n"
    write(pytester, gone_swaptrace=text + "expect: {total: {final: {minflt: 0}}}\n")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gone.swaptrace.yaml:1:*ENOMEM*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_policies_can_be_chosen(pytester: pytest.Pytester, run: Run) -> None:
    """Are names and aliases taken, and is a scenario without an expectation skipped?"""
    write(pytester, rw_swaptrace=WRONG)
    result = run("-v", "-rs", "--swaptrace-policies", "old,rfc")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*::prepatch PASSED*", "*::rfc SKIPPED*", "*nothing of rfc*"])


def test_an_alias_and_its_policy_are_one_test(pytester: pytest.Pytester, run: Run) -> None:
    """Is what is expected of `new` and of `final` checked at once?"""
    write(pytester, rw_swaptrace=WRONG + "    final: {majflt: 5}\n")
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*2 of 3 expected values differ"])


def test_what_is_not_decided_does_not_pass(pytester: pytest.Pytester, run: Run) -> None:
    """Is a policy of which not all is known a failure, with the reason, though its counts fit?"""
    write(pytester, rw_swaptrace=READ_WRITE + "    mine: {minflt: 4}\n")
    text = "from swaptrace.mm.policy import Policy\n\n\nclass Mine(Policy):\n"
    (pytester.path / "mine.py").write_text(text + '    undecided = ("a hook is called",)\n')
    result = run("--swaptrace-policies", "mine.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not decided: mine: a hook is called*"])


def test_an_own_policy(pytester: pytest.Pytester, run: Run) -> None:
    """Is the file of a policy under work held to what a scenario expects of it?"""
    pytester.makepyfile(
        mine="from swaptrace.mm.policy import Policy\n"
        "class Mine(Policy):\n    title = 'mine'\n    origin = 'a test'\n"
    )
    write(pytester, rw_swaptrace=READ_WRITE.replace("new:", "mine:"))
    result = run("--swaptrace-policies", "mine.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["back_in  minflt          0       4"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--swaptrace", "nothing.yaml"), "*--swaptrace: nothing.yaml: no such file*"),
        (("--swaptrace", "."), "*--swaptrace: .: the directory has no *.yaml in it*"),
        (("--swaptrace", "-"), "*--swaptrace reads files, not standard input*"),
        (("--swaptrace-policies", "fnal"), "*no policy 'fnal'; did you mean 'final'?*"),
    ],
)
def test_a_wrong_option_is_told(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Does pytest end with a usage error, whose text says what is wrong?"""
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_other_projects_do_not_notice() -> None:
    """Does the plug-in load nothing but itself?"""
    code = "import sys, swaptrace.pytest_plugin as p; print(*sys.modules)"
    ran = completed([sys.executable, "-c", code], env=environment(), check=True, text=True)
    loaded = [name for name in ran.stdout.split() if name.startswith(("swaptrace", "numpy"))]
    assert loaded == ["swaptrace", "swaptrace.pytest_plugin"]
    assert not {"yaml", "click", "rich"} & set(ran.stdout.split())


EVIL = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n" + (
    "from swaptrace.mm.policy import Policy\n"
    "class Mine(Policy):\n    title = 'mine'\n    origin = 'a test'\n"
)


@pytest.mark.parametrize("name", some(["evil.py", "./evil.py", "evil.c", "kernel:."], 2))
def test_a_scenario_has_no_file_loaded(pytester: pytest.Pytester, run: Run, name: str) -> None:
    """Is what stands in expect: a name, whatever it looks like, so that no data run as code?"""
    (pytester.path / "evil.py").write_text(EVIL)
    write(pytester, a_swaptrace=f"steps: [{{mmap: a, size: 4KiB}}]\nexpect: {{total: {{'{name}': "
          "{minflt: 0}}}\n")  # fmt: skip
    for options in ((), ("--collect-only",)):
        result = run(*options)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([f"a.swaptrace.yaml:2:18: expect: no policy '{name}'*"])
    assert not (pytester.path / "ran").exists()


def test_the_ini_names_policies(pytester: pytest.Pytester, run: Run) -> None:
    """Are they taken from the configuration file, relative to it, unless the option says others?"""
    sub = pytester.mkdir("sub")
    (pytester.path / "evil.py").write_text(EVIL)
    pytester.makeini("[pytest]\nswaptrace_policies = old,evil.py\n")
    (sub / "a.swaptrace.yaml").write_text(
        "steps: [{mmap: a, size: 4KiB}]\nexpect: {total: {evil: {minflt: 0}}}\n"
    )
    result = run("-v", "sub")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*::evil PASSED*"])
    run("-v", "sub", "--swaptrace-policies", "old").assert_outcomes(errors=1)
    run("-v", "sub", "--swaptrace-policies", "new,evil.py").assert_outcomes(passed=1, skipped=1)


CHECKED = """\
steps:
- {mmap: buf, size: 64KiB}
- check: {pages: {buf: 16-}, violations: []}
- write: buf
- check: {pages: {buf: 16P}}
- check: {pages: {buf: 16PX}, policies: [old]}
"""


def test_each_claim_is_a_test(pytester: pytest.Pytester, run: Run) -> None:
    """Of policies that are named, and of the kernel's; does a failure say what there was?"""
    write(pytester, c_swaptrace=CHECKED)
    result = run("-v")
    result.assert_outcomes(passed=5, failed=2)
    result.stdout.fnmatch_lines(
        [
            "c.swaptrace.yaml::prepatch: line 3, pages of buf in main PASSED*",
            "c.swaptrace.yaml::prepatch: line 3, violations PASSED*",
            "c.swaptrace.yaml::prepatch: line 5, pages of buf in main FAILED*",
            "c.swaptrace.yaml::prepatch: line 6, pages of buf in main PASSED*",
            "c.swaptrace.yaml::merged: line 3, pages of buf in main PASSED*",
        ]
    )
    result.stdout.fnmatch_lines(
        ["c.swaptrace.yaml: line 5, pages of buf in main, merged: 16PX in step 3, expected 16P"]
    )


def test_with_expectations_there_are_both(pytester: pytest.Pytester, run: Run) -> None:
    """Is there a test of what is expected of a policy besides those of its claims?"""
    write(pytester, c_swaptrace=CHECKED + "expect: {total: {final: {minflt: 16}}}\n")
    result = run("-v", "-k", "final or prepatch")
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(["c.swaptrace.yaml::final PASSED*"])


@exhaustive
def test_a_check_of_an_unknown_policy_is_a_collection_error(
    pytester: pytest.Pytester, run: Run
) -> None:
    """Does a mistyped name not pass?"""
    write(pytester, c_swaptrace=CHECKED.replace("old", "finl"))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["c.swaptrace.yaml:6:42: check: no policy 'finl'; did you mean 'final'?*"]
    )
