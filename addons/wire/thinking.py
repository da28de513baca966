"""Which thinking blocks may travel where: the request's side (the answer's side wraps the signatures).

Rules that hold here:
- A thinking block belongs to the provider that produced it. A signature (or the data of a redacted block)
  that is wrapped says which; any other is Anthropic's; a block with none is nobody's and goes nowhere.
- A block goes back to its owner as the owner sent it, or it is dropped. It is never turned into text.
- Anthropic refuses a tool loop that has lost its thinking while thinking is asked for, so it isn't asked for.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from addons.wire import pieces
from addons.wire.body import Draft
from addons.wire.context import Context
from addons.wire.conversation import counted, open_turn, settled
from addons.wire.messages import DROP, KEEP, Block, Changes, Message, Verdict
from addons.wire.provenance import unwrap_signature

THINKING: Final = ("thinking", "redacted_thinking")

UNSIGNED: Final = "without a signature"
ANTHROPIC: Final = "of Anthropic"


def keep_own_thinking(draft: Draft, context: Context) -> str | None:
    """Leave every thinking block that is the target's own, drop the others. For every target, and not to be
    switched off."""
    dropped: Counter[str] = Counter()
    given_back = 0

    def travel(block: Block) -> Verdict | Changes:
        nonlocal given_back
        if block.type not in THINKING:
            return KEEP
        field = "signature" if block.type == "thinking" else "data"
        carried = pieces.string(block.signature if block.type == "thinking" else block.data)
        wrapped = unwrap_signature(carried) if carried else None
        if wrapped and wrapped[0] == context.provider and not context.drop_all_thinking:
            given_back += 1
            return {field: pieces.dump(wrapped[1])}
        if carried and not wrapped and context.is_anthropic and not context.drop_all_thinking:
            return KEEP
        dropped[f"of {wrapped[0]}" if wrapped else ANTHROPIC if carried else UNSIGNED] += 1
        return DROP

    lost: list[Message] = []
    if not draft.body.block_types.isdisjoint(THINKING):
        before = draft.messages
        after = [message.edit(travel) for message in before]
        lost = [
            new
            for old, new in zip(before, after, strict=True)
            if new is not old and starts_with_thinking(old) and not starts_with_thinking(new)
        ]
        draft.messages = settled(before, after)

    said = []
    if given_back:
        said.append(f"gave {counted(given_back, 'thinking block')} back to {context.provider}")
    if dropped:
        origins = ", ".join(f"{number} {origin}" for origin, number in sorted(dropped.items()))
        said.append(f"dropped {counted(dropped.total(), 'thinking block')} ({origins})")
    turn = open_turn(draft.messages) if context.is_anthropic else []
    mode = asked_mode(draft)
    if turn and mode and (context.drop_all_thinking or is_refused(mode, turn, lost)):
        turn_off_in_open_turn(draft)
        said.append("turned thinking off: the open tool turn has none of its own")
    return "; ".join(said) or None


def starts_with_thinking(message: Message) -> bool:
    return bool(message.blocks) and message.blocks[0].type in THINKING


def asked_mode(draft: Draft) -> str | None:
    """How the request asks for thinking (`enabled`, `adaptive` …); None when it doesn't."""
    thinking = draft.get("thinking")
    mode = thinking.get("type") if isinstance(thinking, dict) else None
    return mode if isinstance(mode, str) and mode != "disabled" else None


def is_refused(mode: str, turn: Sequence[Message], lost: Sequence[Message]) -> bool:
    """Whether Anthropic refuses to think on in this open turn. `lost` are the messages whose thinking was dropped.

    With `enabled` it wants the turn to begin with thinking ("a final `assistant` message must start with a thinking
    block"): refused when any message of it lost its own, or when it waits for tool results and no message of it has
    any (the client drops thinking itself when the model's name changes). What the client kept is left to
    Anthropic's judgement: without interleaved thinking the later messages of a turn have none. `adaptive` is
    documented to take turns that begin without; there only the loss in the last message counts.
    """
    if mode != "enabled":
        return turn[-1] in lost
    thinks = any(message.has(*THINKING) for message in turn)
    return any(message in lost for message in turn) or (turn[-1].has("tool_use") and not thinks)


def turn_off_in_open_turn(draft: Draft) -> None:
    """Ask for no thinking, and take what thinking is left in the open turn out of it: Anthropic refuses it
    there ("When thinking is disabled, an `assistant` message in the final position cannot contain
    `thinking`")."""
    turn = open_turn(draft.messages)
    before = draft.messages
    after = [
        message.edit(lambda block: DROP if block.type in THINKING else KEEP) if message in turn else message
        for message in before
    ]
    draft.messages = settled(before, after)
    turn_off(draft)


def turn_off(draft: Draft) -> None:
    """Ask for no thinking. The edits of `context_management` that clear thinking go too: Anthropic refuses
    them without ("`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive")."""
    draft.drop("thinking")
    management = draft.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return
    kept = [edit for edit in edits if not clears_thinking(edit)]
    if len(kept) == len(edits):
        return
    if kept:
        draft.set("context_management", management | {"edits": kept})
    else:
        draft.drop("context_management")


def clears_thinking(edit: Any) -> bool:
    return isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking")
