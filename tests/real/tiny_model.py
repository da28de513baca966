"""Writes a GGUF of some megabytes that says a scripted text: `python tiny_model.py FILE` (needs the package gguf).

A model of one layer whose attention and feed-forward are zero sees nothing but the last token. Its embedding is
one-hot, so each row of the output matrix names the token that it follows: the tokens of a script are chained, each is
used once. Which script it is, the chat template decides by the line breaks that it ends the prompt with; besides, the
template, its tool calls and its thinking are Qwen's.
"""

import json
import sys
from pathlib import Path

SCRIPTS = {
    "text": "Hello there, this is what the tiny model says.",
    "reasoning": "<think>\nLet me think about it.\n</think>\n\nForty-two.",
    "one": 'I look.\n<tool_call>\n{"name": "Bash", "arguments": {"command": "echo one"}}\n</tool_call>',
    "two": (
        '<tool_call>\n{"name": "Bash", "arguments": {"command": "echo one"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "Bash", "arguments": {"command": "echo two"}}\n</tool_call>'
    ),
    "done": "The command said what it should.",
}
"""What it says, by a word in the user's last message; `done` behind a tool's result."""

TEMPLATE = Path(__file__).with_name("template.jinja")


def pieces(text: str, taken: set[str]) -> list[str]:
    """The tokens of a script, a few characters each; none of those taken, for a text is one token's."""
    found = []
    while text:
        size = next(size for size in (4, 3, 5, 2, 6, 7, 8, 9, 10, 1) if text[:size] not in taken)
        found.append(text[:size])
        taken.add(text[:size])
        text = text[size:]
    return found


def write(path: Path) -> None:
    import gguf
    import numpy as np

    tokens: list[tuple[bytes, int]] = [(b"<unk>", 2), (b"<s>", 3), (b"</s>", 3)]
    tokens += [(f"<0x{byte:02X}>".encode(), 6) for byte in range(256)]
    tokens += [(b"<|im_start|>", 3), (b"<|im_end|>", 3)]
    end = len(tokens) - 1
    # Tokens of a script are never read out of a prompt: they have texts that are in none, but for the piece they show.
    endings = {}
    for number, name in enumerate(SCRIPTS, 2):
        endings[name] = len(tokens)
        tokens.append((b"\n" * number, 4))
    follows: dict[int, int] = {}
    taken: set[str] = set()
    for name, script in SCRIPTS.items():
        last = endings[name]
        for piece in pieces(script, taken):
            follows[last] = last = len(tokens)
            tokens.append((piece.replace(" ", "\u2581").encode(), 1))
        follows[last] = end
    size = -(-len(tokens) // 64) * 64
    embedding = np.zeros((len(tokens), size), np.float32)
    output = np.zeros((len(tokens), size), np.float32)
    for token in range(len(tokens)):
        embedding[token, token] = 1
        output[follows.get(token, end), token] = 1
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_block_count(1)
    writer.add_context_length(65536)
    writer.add_embedding_length(size)
    writer.add_feed_forward_length(64)
    writer.add_head_count(size // 64)
    writer.add_head_count_kv(size // 64)
    writer.add_rope_dimension_count(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([-1000.0 if kind == 1 else 0.0 for _, kind in tokens])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE.read_text(encoding="utf-8").strip())
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(size, np.float32))
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(size, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((size, size), np.float32))
    for name in ("ffn_gate", "ffn_up"):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((64, size), np.float32))
    writer.add_tensor("blk.0.ffn_down.weight", np.zeros((size, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(json.dumps({"bytes": Path(sys.argv[1]).stat().st_size}))
