"""Which thinking blocks may travel where: the request's side (the answer's side wraps the signatures).

Rules that hold here:
- A thinking block belongs to the provider that produced it. A signature (or the data of a redacted block)
  that is wrapped says which; any other is Anthropic's; a block with none is nobody's and goes nowhere.
- A block goes back to its owner as the owner sent it, or it is dropped. It is never turned into text.
- Anthropic refuses a tool loop that has lost its thinking while thinking is asked for, so it isn't asked for.
"""

from collections.abc import Collection
from typing import Final

from addons.wire import raw_json
from addons.wire.messages.body import Draft
from addons.wire.messages.edited_messages import EditedMessages, open_turn
from addons.wire.messages.message import DROP, KEEP, BlockEdit, Message
from addons.wire.messages.schema import Block
from addons.wire.messages.traits import GUEST_THINKING, THINKING, THINKING_TYPES
from addons.wire.provenance import OWNER, unwrap_signature
from addons.wire.steps.context import Context, counted
from addons.wire.steps.thinking_mode import turn_off

UNSIGNED: Final = "without a signature"
ANTHROPIC: Final = "of Anthropic"


def keep_own_thinking(draft: Draft, context: Context) -> str | None:
    """Leave every thinking block that is the target's own, drop the others. For every target, and not to be
    switched off."""
    messages = draft.messages
    keeps_unwrapped = context.is_anthropic and not context.drop_all_thinking
    dropped: dict[str, int] = {}
    given_back = 0

    def drops(owner: str | None, *, signed: bool) -> bool:
        """Whether a block goes whose signature this provider wrapped (None: nobody did). It is counted."""
        nonlocal given_back
        if owner is None and signed and keeps_unwrapped:
            return False
        if owner == context.provider and not context.drop_all_thinking:
            given_back += 1
            return False
        origin = f"of {owner}" if owner else ANTHROPIC if signed else UNSIGNED
        dropped[origin] = dropped.get(origin, 0) + 1
        return True

    def travel(block: Block) -> BlockEdit:
        if block.type not in THINKING_TYPES:
            return KEEP
        field = "signature" if block.type == "thinking" else "data"
        carried = raw_json.string(block.signature if block.type == "thinking" else block.data)
        wrapped = unwrap_signature(carried) if carried else None
        if drops(wrapped[0] if wrapped else None, signed=bool(carried)):
            return DROP
        return {field: raw_json.dump(wrapped[1])} if wrapped else KEEP

    lost: set[int] = set()
    emptied: list[int] = []
    for index in messages.with_trait(GUEST_THINKING if keeps_unwrapped else THINKING):
        if thought := messages.thought(index):
            text, signature, begin, end = thought
            wrapper = OWNER.match(text, signature)
            if drops(wrapper[1].decode() if wrapper else None, signed=True):
                messages.cut(index, begin, end)
                lost.add(index)
            elif wrapper:
                messages.cut(index, signature + 1, wrapper.end())
            continue
        old = messages[index]
        new = old.edit(travel)
        if new is not old:
            messages[index] = new
            if not new.blocks:
                emptied.append(index)
            elif starts_with_thinking(old) and not starts_with_thinking(new):
                lost.add(index)
    if emptied:
        messages.settle(emptied)

    said = []
    if given_back:
        said.append(f"gave {counted(given_back, 'thinking block')} back to {context.provider}")
    if dropped:
        origins = ", ".join(f"{number} {origin}" for origin, number in sorted(dropped.items()))
        said.append(f"dropped {counted(sum(dropped.values()), 'thinking block')} ({origins})")
    if context.is_anthropic and (mode := asked_mode(draft)) and is_refused(mode, messages, lost, context):
        turn_off_in_open_turn(draft)
        said.append("turned thinking off: the open tool turn has none of its own")
    return "; ".join(said) or None


def starts_with_thinking(message: Message) -> bool:
    return bool(message.blocks) and message.blocks[0].type in THINKING_TYPES


def asked_mode(draft: Draft) -> str | None:
    """How the request asks for thinking (`enabled`, `adaptive` …); None when it doesn't."""
    thinking = draft.get("thinking")
    mode = thinking.get("type") if isinstance(thinking, dict) else None
    return mode if isinstance(mode, str) and mode != "disabled" else None


def is_refused(mode: str, messages: EditedMessages, lost: Collection[int], context: Context) -> bool:
    """Whether Anthropic refuses to think on in this open turn. `lost` are the messages whose thinking was dropped.

    With `enabled` it wants the turn to begin with thinking ("a final `assistant` message must start with a thinking
    block"): refused when any message of it lost its own, or when it waits for tool results and no message of it has
    any (the client drops thinking itself when the model's name changes). What the client kept is left to
    Anthropic's judgement: without interleaved thinking the later messages of a turn have none. `adaptive` is
    documented to take turns that begin without; there only the loss in the last message counts.
    """
    turn = open_turn(messages)
    last = next(turn, None)
    if last is None or context.drop_all_thinking or last in lost:
        return last is not None
    if mode != "enabled":
        return False
    waits, thinks = messages[last].has("tool_use"), messages[last].has(*THINKING_TYPES)
    for index in turn:
        if index in lost:
            return True
        if not lost and (thinks or not waits):
            return False
        thinks = thinks or messages[index].has(*THINKING_TYPES)
    return waits and not thinks


def turn_off_in_open_turn(draft: Draft) -> None:
    """Ask for no thinking, and take what thinking is left in the open turn out of it: Anthropic refuses it
    there ("When thinking is disabled, an `assistant` message in the final position cannot contain
    `thinking`")."""
    turn = sorted(open_turn(draft.messages))
    draft.messages.edit(turn, lambda block: DROP if block.type in THINKING_TYPES else KEEP)
    turn_off(draft)
