"""The commands about flows."""

import pytest
from mitmproxy import exceptions
from mitmproxy.addons.export import Export
from mitmproxy.test import taddons, tflow

from addons.views.flow_commands import FlowCommands, compared
from tests.views.test_compare import ended


def test_two_requests_in_lines():
    told = FlowCommands().compare([ended("Because."), ended("No idea.", seconds=3.0, provider="anthropic")])
    lines = told.split("\n")
    (times,) = [line for line in lines if line.startswith("time ")]
    assert "2.1 s*" in times
    assert "4.1 s*" not in times
    assert lines[-5:] == ["── left: zai/glm-5", "Because.", "", "── right: anthropic/claude-sonnet-5-5", "No idea."]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_it_takes_two(number):
    with pytest.raises(exceptions.CommandError, match="two requests"):
        compared([ended("a") for _ in range(number)])


def test_another_flow_is_not_compared():
    with pytest.raises(exceptions.CommandError, match="two requests"):
        compared([ended("a"), tflow.tflow(resp=True)])


def test_an_attempt_is_exported_by_command():
    commands = FlowCommands()
    with taddons.context(commands, Export()) as tctx:
        assert tctx.master.commands.commands.keys() >= {"gateway.compare", "gateway.export"}
        assert commands.export("curl", ended("a"), 1).startswith("curl ")
        with pytest.raises(exceptions.CommandError, match="this gateway process's own"):
            commands.export("curl", tflow.tflow(), 1)
