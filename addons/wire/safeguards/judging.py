"""The errand of a judge: the tool calls of an answer in, what the client is told of them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from addons.wire.errands import Ask, Errand
from addons.wire.messages.body import RequestBody
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.safeguards.prompt import question
from addons.wire.safeguards.verdicts import Judgement, available, read_verdicts, unavailable, unsupported

SAME: Final = "same"
OFF: Final = "off"


class Check(msgspec.Struct, frozen=True):
    """What is to be judged of an answer, and by whom."""

    __repr__ = object.__repr__  # it has secrets

    model: str
    """`same`: the model that answers; `off`: nobody judges; else the name of a model of the gateway's."""
    timeout: float
    context: Mapping[str, Any]
    """What the client tells of its situation."""
    body: RequestBody
    """The client's request."""

    def judge(self, answer: HeldAnswer) -> Errand[Judgement]:
        """Judge the tool calls of an answer that has come to its end."""
        if self.model == OFF:
            return unsupported()
        calls = answer.calls()
        verdicts = {call.id: unavailable("truncated") for call in calls if call.is_cut}
        if answer.is_too_long:
            verdicts |= {call.id: unavailable("input_too_long") for call in calls}
        pending = [call for call in calls if call.id not in verdicts]
        if pending:
            text = self.body.messages.text
            messages = [bytes(text.raw(index)) for index in range(len(self.body.messages))]
            asked = question(self.context, messages, pending)
            reply = yield Ask(
                purpose="safeguard",
                body=asked,
                model="" if self.model == SAME else self.model,
                timeout=self.timeout,
            )
            verdicts |= read_verdicts(reply, pending)
        return available({call.id: verdicts[call.id] for call in calls}, calls)
