"""Every limit says what it limits, and README's table has it."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

from addons.wire import limits

README = Path(__file__).parents[2] / "README.md"
UNITS = {"KILOBYTE", "MEGABYTE"}


def test_every_limit_has_a_docstring():
    body = ast.parse(Path(limits.__file__).read_text()).body
    named = {
        node.target.id: follower
        for node, follower in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id not in UNITS
    }
    assert named
    for name, follower in named.items():
        assert isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant), name
        assert len(str(follower.value.value)) > 60, name


def test_readme_names_them():
    section = README.read_text().partition("\n## Limits")[2].partition("\n## ")[0]
    for value in (
        f"{limits.BODY // limits.MEGABYTE} MB",
        f"{limits.BODY_SILENCE:.0f} s of silence, {limits.BODY_WITHIN:.0f} s in all",
        f"{limits.HEAD // 1024} KB, {limits.HEAD_LINES} lines, {limits.HEAD_WITHIN:.0f} s",
        f"{limits.MODEL_NAME} characters",
        f"{limits.SILENT:.0f} s, {limits.HANDSHAKE:.0f} s",
        f"{limits.CONNECTIONS_PER_ADDRESS} (`gateway_max_per_address`",
        f"first content | {limits.HELD // limits.MEGABYTE} MB",
        f"event of an answer | {limits.EVENT // limits.MEGABYTE} MB",
        f"(`stream: false`) | {limits.ANSWER // limits.MEGABYTE} MB",
        f"(`calls_in_text`) | {limits.WRITTEN_CALLS // limits.MEGABYTE} MB",
        f"unpack to | {limits.UNPACKED_AT_ONCE // limits.MEGABYTE} MB",
        f"provider's error | {limits.ERROR_BODY // limits.MEGABYTE} MB",
    ):
        assert value in section, value
