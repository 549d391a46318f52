"""What says of itself that it is pure is held to it by import-linter, and the other way round."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAYS_SO = re.compile(r"\bPure\b(?! but)|Nothing here reads a clock")


def held():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each["name"].startswith("the pure cores")]
    return set(contract["source_modules"])


def declared():
    found = set()
    for path in (ROOT / "src/steadyrun").rglob("*.py"):
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        if path.name != "__init__.py" and SAYS_SO.search(said):
            found.add(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))
    return found


def test_every_module_that_calls_itself_pure_is_held_to_it():
    rooms = {"steadyrun.model"}
    assert {each for each in declared() if each.rpartition(".")[0] not in rooms} <= held()


def test_what_is_held_says_so_that_a_reader_knows():
    assert held() - {"steadyrun.model"} <= declared()
