"""Do the JSON Schemas say what the loader and the results do?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from swaptrace import bundled
from swaptrace.result import schemas
from swaptrace.result.result import Result, to_json
from tests import results
from tests.commandline import run
from tests.effort import examples, part
from tests.goldens import check_golden
from tests.schemas import closed, mistakes

DOCS = Path(__file__).parent.parent / "docs"
FILES = schemas.files()
RESULT = schemas.result_schema()
CLOSED = closed(RESULT)


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_what_the_code_says(name: str, request: pytest.FixtureRequest) -> None:
    """Is the schema in docs/ up to date?"""
    check_golden(request, str(DOCS / name), FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_it_is_a_schema(name: str) -> None:
    """Does it keep to the rules of its dialect, and do its references lead somewhere?"""
    schema = json.loads(FILES[name])
    Draft202012Validator.check_schema(schema)
    used = set(references(schema))
    assert used == {f"#/$defs/{definition}" for definition in schema["$defs"]}


def references(schema: Any) -> list[str]:
    """Every $ref below."""
    if isinstance(schema, list):
        return [found for each in schema for found in references(each)]
    if not isinstance(schema, dict):
        return []
    below = [found for key, each in schema.items() if key != "$ref" for found in references(each)]
    return [schema["$ref"], *below] if isinstance(schema.get("$ref"), str) else below


@pytest.mark.parametrize("name", part(bundled.scenarios(), 6, first=2))
def test_the_results_of_every_bundled_scenario_fit(name: str) -> None:
    """Is what `run --format json` prints, with all that can be asked for, as the schema says?"""
    options = ("--policies", "all", "--format", "json", "--steps", "--pages")
    ran = run("run", name, *options)
    assert ran.exit_code == 0
    assert mistakes(CLOSED, json.loads(ran.stdout)) == []


@given(results.results)
@settings(max_examples=examples(50))
def test_any_result_fits(result: Result) -> None:
    """Does the schema take everything that `to_json` writes, and know each of its keys?"""
    assert mistakes(CLOSED, json.loads(to_json(result))) == []


def test_keys_of_later_versions_pass() -> None:
    """Does the schema let pass what `from_json` ignores?"""
    document = json.loads(to_json(results.EXAMPLE))
    document["scenarios"][0]["policies"]["prepatch"]["total"]["later"] = 1
    document["scenarios"][0]["machine"]["later"] = True
    assert mistakes(RESULT, document) == []
    assert mistakes(CLOSED, document) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "swaptrace.result/2"),
        (("version",), 1),
        (("scenarios",), {}),
        (("scenarios", 0, "machine", "swap", "backend"), "tape"),
        (("scenarios", 0, "policies", "prepatch", "total", "minflt"), -1),
        (("scenarios", 0, "policies", "prepatch", "steps", 0, "op"), "measure"),
        (("scenarios", 0, "policies", "prepatch", "violations", 0, "kind"), "minflt"),
        (("scenarios", 0, "policies", "prepatch", "pages", "main", "buf"), 512),
        (("scenarios", 0, "expectations", 0, "ok"), 1),
    ],
)
def test_a_wrong_result_does_not_fit(path: tuple[str | int, ...], value: object) -> None:
    """Is a value of the wrong kind found where it stands?"""
    document = json.loads(to_json(results.EXAMPLE))
    put(document, path, value)
    (found,) = mistakes(RESULT, document)
    assert str(path[-1]) in found.partition(": ")[0]


def put(document: Any, path: tuple[str | int, ...], value: object) -> None:
    """Replace the value at a path."""
    *way, last = path
    for key in way:
        document = document[key]
    document[last] = value


def test_a_key_that_is_left_out_is_missed() -> None:
    """Is everything required that `to_json` always writes?"""
    document = json.loads(to_json(results.EXAMPLE))
    del document["scenarios"][0]["policies"]["prepatch"]["windows"]
    del document["scenarios"][0]["expectations"][1]["ok"]
    assert len(mistakes(RESULT, document)) == 2


@pytest.mark.parametrize("name", ["scenario", "result"])
def test_the_command_prints_the_schema(name: str) -> None:
    """Is it, after an installation as well, the file in docs/?"""
    assert run("schema", name).stdout == (DOCS / f"{name}.schema.json").read_text()
