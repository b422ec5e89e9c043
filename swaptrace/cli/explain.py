"""`swaptrace explain`: why a step counts what it counts."""

from __future__ import annotations

from typing import Any

import click

from swaptrace.cli.options import (
    builtin_option,
    color_option,
    complete_scenario,
    format_option,
    output_option,
    policy_option,
    set_option,
    warn_of,
    warn_of_machines,
)
from swaptrace.cli.reporting import check_library
from swaptrace.cli.standard import stdin
from swaptrace.terminal.atomic import check_writable
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output


@click.command()
@click.argument("scenario", shell_complete=complete_scenario)
@builtin_option
@policy_option("final", "The policy: a name, an alias, a .py or .c file, or kernel:TREE+PATCH.")
@click.option(
    "--step",
    metavar="PATH",
    help="Only this step, as --steps names them: 4.0 is the first within step 4, 4 all of them.",
)
@format_option("table", "json", "html")
@output_option
@set_option
@color_option
def explain(scenario: str, policy: str, step: str | None, **options: Any) -> None:
    """Say why a step counts what it counts.

    Prints the distinct transitions of each step: how many pages took each, the
    page before and after, and the kernel functions that decided.

    \b
    swaptrace explain read-then-write --policies old
    swaptrace explain my.yaml --policies my.py --step 3.0
    """
    from swaptrace import inputs
    from swaptrace.policies import from_argument
    from swaptrace.replay import scenarios as commands

    check_library(options["fmt"])
    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(path_of(output.path))
    sources, errors = inputs.find_all([scenario])
    loaded = inputs.load_all(sources, options["overrides"], stdin(), errors)
    warn_of_machines(loaded)
    found = from_argument(policy, options["defines"], options["builtin"])
    warn_of([found])
    explanation = commands.explain_one(loaded, found, step)
    if options["fmt"] == "json":
        output.write(explanation.to_json())
        return
    if options["fmt"] == "html":
        from swaptrace.report.html.documents import explanation_page

        result = commands.replay_all(
            loaded, [found], steps=False, pages=False, history=True, begin=lambda *_: None
        )
        output.write(explanation_page(explanation, result))
        return
    from swaptrace.report.explain import explain_report

    output.show(explain_report(explanation))
