"""Models by their public names, in a recipe's text and in its digest."""

import pytest
import yaml

from umm.public import public_name, public_names, public_recipe, public_text
from umm.recipe.canonical import digest
from umm.recipe.document import load
from umm.recipe.model import ModelRef, Recipe

HEAD = "merge_method: linear\nparameters: {weight: 1}\n"


def shown(text: str) -> str:
    """The public text of a recipe, after checking that it is a recipe and the one whose digest is published."""
    *_, recipe = load(text)
    names = public_names(text, recipe)
    public = public_text(text, names)
    *_, read = load(public)
    assert digest(read) == digest(public_recipe(recipe, names))
    return public


def models(*spelled: str, more: str = "") -> str:
    """A recipe of these models, each as YAML."""
    return HEAD + "models:\n" + "".join(f"  - model: {s}\n" for s in spelled) + more


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("org/model", "org/model"),
        ("org/model-7B.v2", "org/model-7B.v2"),
        ("model", "model"),
        ("./model", "model"),
        ("./a/model/", "model"),
        ("/abs/model", "model"),
        ("~/model", "model"),
        ("C:\\models\\mine", "mine"),
        ("a/b/model", "model"),
        ("/hf/hub/models--org--name/snapshots/0a1b", "org/name"),
        ("..", "model"),
        ("/", "model"),
    ],
)
def test_a_model_is_called_by_its_public_name(path: str, name: str) -> None:
    assert public_name(path) == name


@pytest.mark.parametrize(
    ("spelled", "public"),
    [
        ("/home/me/math-7b", "math-7b"),
        ("'/home/me/it''s'", "'it''s'"),
        ('"/home/me/m\\u0061th"', '"math"'),
        ("&m /home/me/math-7b", "&m math-7b"),
        ("!!str ../math-7b", "!!str math-7b"),
        ("org/code+/home/me/loras/sql", "org/code+sql"),
        ("../a@v1+./b@v2", "a@v1+b@v2"),
        ("{model: {path: ./odd+name, revision: v2}}", "{model: {path: odd+name, revision: v2}}"),
        ("{model: {path: ../odd@name}, lora: ./x/y@z}", "{model: {path: odd@name}, lora: y@z}"),
        ("{model: ./odd+name, lora: ./x}", "{model: odd+name, lora: x}"),
        ("./größe", '"größe"'),
        ("./true", '"true"'),
        ("./12", '"12"'),
        ("./a#b", '"a#b"'),
        ("|-\n      ./block", "block"),
        (".", "model"),
    ],
)  # fmt: skip
def test_a_folder_is_replaced_however_it_is_written(spelled: str, public: str) -> None:
    assert shown(models(spelled, "org/other")) == models(public, "org/other")


def test_only_models_are_replaced() -> None:
    more = "tokenizer: {source: base}\nbase_model: ./base # ./base\nname: base\nchat_template: '{% ./x . %}'\n"
    text = models("./x", "'.'", more=more).replace("{weight: 1}", "{weight: [{filter: ., value: 0.5}, {value: 1.0}]}")
    assert shown(text) == text.replace("./x\n", "x\n").replace("'.'", "'model'").replace(": ./base", ": base-2")


def test_a_recipe_that_names_nothing_private_is_shown_as_it_is() -> None:
    text = models("'org/a'", '"b"', more="# /home/me\n")
    assert shown(text) == text


def test_two_models_are_never_called_the_same() -> None:
    spelled = ["/x/chat", "/y/chat", "chat", "./chat", "chat-3", "a/b/c+/y/chat"]
    public = ["chat-2", "chat-4", "chat", "chat-5", "chat-3", "c+chat-4"]
    assert shown(models(*spelled)) == models(*public)


def test_the_result_of_another_document_keeps_its_name() -> None:
    first = f"name: mean\n{models('/x/mean', '/x/a')}"
    last = models("/y/a", "/z/mean", "mean")
    assert shown(f"{first}---\n{last}") == "name: mean\n" + models("mean-3", "a-2") + "---\n" + models(
        "a", "mean-2", "mean"
    )


def test_a_tokenizer_that_would_be_taken_for_a_word_is_written_out() -> None:
    text = models(
        "./base",
        "./union",
        more="tokenizer:\n  source: ./base\n  tokens: {x: {source: ./union}, model: {source: ./base+./l}}\n",
    )
    public = yaml.safe_load(shown(text))
    assert public["tokenizer"]["source"] == {"model": "base"}
    assert public["tokenizer"]["tokens"] == {"x": {"source": {"model": "union"}}, "model": {"source": "base+l"}}


def test_tokens_of_models_are_replaced() -> None:
    rule = "tokenizer: {source: union, tokens: {path: {source: {kind: model_token, model: ./x/b, token: ./x/b}}}}\n"
    assert shown(models("./x/a", more=rule)).endswith(rule.replace("model: ./x/b", "model: b"))


def test_an_alias_stays_one() -> None:
    text = HEAD + "models:\n  - &first {model: ../a}\n  - {<<: *first, model: &b ../b}\nbase_model: *b\n"
    assert shown(text) == text.replace("../", "")


def test_a_byte_order_mark_moves_nothing() -> None:
    assert shown("\ufeff" + models("../größe/a")) == "\ufeff" + models("a")


def test_a_recipe_without_its_text_has_names_too() -> None:
    recipe = Recipe("passthrough", base=ModelRef("/x/a", "v1", "/y/a@v2"))
    names = public_names("", recipe)
    assert public_recipe(recipe, names).base == ModelRef("a", "v1", "a-2@v2")
