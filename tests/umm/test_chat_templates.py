"""Chat templates: what the built-in ones render, which one a recipe means, where a model keeps its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from umm.chat_templates import BUILTIN, chat_template, template_of
from umm.errors import CheckpointError, RecipeError

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi!"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Bye."},
]


class RefusedError(Exception):
    """What a template raises."""


def raise_exception(message: str) -> None:
    raise RefusedError(message)


def render(name: str, messages: list[dict[str, str]], prompt: bool = True, **tokens: str) -> str:
    """As transformers renders: sandboxed, with blocks trimmed."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    template = environment.from_string(chat_template(name, []) or "")
    return template.render(messages=messages, add_generation_prompt=prompt, **tokens)


GOLDEN = {
    "alpaca": (
        "Be kind.\n\n### Instruction:\nHi!\n\n### Response:\nHello.</s>\n\n### Instruction:\nBye.\n\n### Response:\n"
    ),
    "chatml": (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye.<|im_end|>\n<|im_start|>assistant\n"
    ),
    "exaone": (
        "[|system|]Be kind.[|endofturn|]\n[|user|]Hi!\n[|assistant|]Hello.[|endofturn|]\n[|user|]Bye.\n[|assistant|]"
    ),
    "llama3": (
        "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nBye.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "mistral": "<s> [INST] Be kind.\n\nHi! [/INST] Hello.</s> [INST] Bye. [/INST]",
}


@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_template_renders_its_format(name: str) -> None:
    assert render(name, TALK, bos_token="<s>", eos_token="</s>") == GOLDEN[name]  # noqa: S106


@pytest.mark.parametrize("name", BUILTIN)
def test_transformers_renders_the_same(name: str) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, unk_token="<s>")),  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
    )
    text = tokenizer.apply_chat_template(
        TALK, chat_template=chat_template(name, []), tokenize=False, add_generation_prompt=True
    )
    assert text == GOLDEN[name]


def test_without_a_prompt_the_answer_is_not_begun() -> None:
    assert render("chatml", TALK[1:2], prompt=False) == "<|im_start|>user\nHi!<|im_end|>\n"
    assert render("alpaca", TALK[1:2], prompt=False) == "### Instruction:\nHi!\n\n"
    assert render("exaone", TALK[1:2], prompt=False) == "[|system|][|endofturn|]\n[|user|]Hi!\n"


def test_templates_know_their_own_special_tokens() -> None:
    assert render("llama3", []).startswith("<|begin_of_text|><|start_header_id|>assistant")
    assert render("mistral", TALK[1:3]) == "<s> [INST] Hi! [/INST] Hello.</s>"
    assert render("alpaca", TALK[2:3], prompt=False) == "### Response:\nHello.\n\n"


def test_alpaca_has_an_input_section() -> None:
    messages = [TALK[1], {"role": "user_context", "content": "text"}]
    assert render("alpaca", messages) == "### Instruction:\nHi!\n\n### Input:\ntext\n\n### Response:\n"


@pytest.mark.parametrize("messages", [TALK[2:], [TALK[1], TALK[1]], [TALK[1], TALK[0]]])
def test_mistral_refuses_roles_that_do_not_alternate(messages: list[dict[str, str]]) -> None:
    with pytest.raises(RefusedError, match="alternate"):
        render("mistral", messages)


def test_auto_is_the_most_common_template_of_the_models() -> None:
    assert chat_template("auto", ["{a}", None, " {b}\n", "{b}"]) == "{b}"


def test_auto_takes_the_first_of_equals() -> None:
    assert chat_template("auto", ["{b}", "{a}", "{a}", "{b}"]) == "{b}"


@pytest.mark.parametrize("templates", [[], [None, None], ["", "  "]])
def test_auto_without_any_template_is_none(templates: list[str | None]) -> None:
    assert chat_template("auto", templates) is None


def test_a_jinja_template_stands_for_itself() -> None:
    text = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert chat_template(text, ["{a}"]) == text


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'chatml'"):
        chat_template("chat-ml", [])


def folder_with(folder: Path, template: Any = None, file: bytes | None = None) -> Path:
    if template is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    if file is not None:
        (folder / "chat_template.jinja").write_bytes(file)
    return folder


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{x}", "{x}"),
        ([{"name": "tool", "template": "{t}"}, {"name": "default", "template": "{d}"}], "{d}"),
        ([{"name": "tool", "template": "{t}"}], None),
        (None, None),
        (3, None),
    ],
)
def test_a_template_is_found_in_the_tokenizer_s_settings(tmp_path: Path, template: Any, found: str | None) -> None:
    assert template_of(folder_with(tmp_path, template)) == found


def test_a_template_file_comes_before_the_settings(tmp_path: Path) -> None:
    assert template_of(folder_with(tmp_path, "{x}", b"{file}")) == "{file}"


def test_a_template_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="UTF-8"):
        template_of(folder_with(tmp_path, file=b"\xff{"))
