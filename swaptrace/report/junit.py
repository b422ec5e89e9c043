"""JUnit's XML: reports of `run`, `compare` and `diff` as test cases."""

from __future__ import annotations

from swaptrace.errors import printable
from swaptrace.report.cases import by_scenario
from swaptrace.report.reports import Report


def junit(report: Report) -> str:
    """The report as JUnit's XML: a test suite for each scenario, a test case for each policy."""
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

    document = JUnitXml("swaptrace")
    for scenario, found in by_scenario(report).items():
        suite = TestSuite(printable(scenario))
        for case in found:
            made = TestCase(printable(case.name), classname=printable(scenario))
            if case.failures:
                failure = Failure(printable(case.failures[0]))
                failure.text = "\n".join(map(printable, case.failures))
                made.result = [failure]
            elif case.undecided:
                doubt = Error(f"not decided: {printable(case.undecided[0])}")
                doubt.text = "\n".join(map(printable, case.undecided))
                made.result = [doubt]
            elif case.skipped:
                made.result = [Skipped("nothing to check")]
            if case.notes:
                made.system_out = "\n".join(map(printable, case.notes))
            suite.add_testcase(made)
        document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode().rstrip("\n") + "\n"
