"""What README and addons/README.md say about the code, compared with it."""

import re
from pathlib import Path

from addons.wire.steps.table import STEPS, Step

ROOT = Path(__file__).resolve().parent.parent


def test_readme_has_every_step_that_can_be_switched_and_says_which_are_for_anthropic():
    section = (ROOT / "README.md").read_text().partition("### Steps")[2].partition("\n## ")[0]
    said = re.findall(r"^\| `([\w-]+)` \| ([AC]?) ?\| \S", section, re.M)
    never = Step._field_defaults["for_claude"]
    marks = [
        (step.name, "A" if step.for_anthropic else "C" if step.for_claude is not never else "")
        for step in STEPS
        if not step.always
    ]
    assert said == marks


def test_every_path_that_the_readme_of_the_code_names_is_there():
    text = (ROOT / "addons/README.md").read_text()
    paths = set(re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|toml|example|sh)|(?:[\w.]+/)+)`", text))
    assert len(paths) > 40
    missing = [path for path in sorted(paths) if not any((ROOT / top / path).exists() for top in (".", "addons"))]
    assert missing == []
