"""Unrolling a loop over experts in Python's syntax tree, before numba compiles it.

LLVM unrolls a loop of known length only while the result is small, and what it leaves rolled it cannot turn into vector
code: with eight experts that made loops 5 to 50 times slower. Written out here, each expert's numbers are plain local
variables, which live in registers.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from copy import deepcopy
from typing import Any

REGISTERS: Any = None
"""A name assigned from this stands for one local variable per index: ``name[k]`` becomes ``name_k``."""


def unrolled(function: Callable[..., Any], name: str, **constants: int) -> Callable[..., Any]:
    """The function under another name with ``constants`` in place of variables of these names.

    Loops over a range that they determine are written out, and branches that they decide are chosen. The result
    belongs to the same file: numba finds its compiled form again by file, name and code.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)  # noqa: S101 - it is called with functions only
    definition.name, definition.decorator_list = name, []
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    made = ast.fix_missing_locations(_Unrolling(constants).visit(tree))
    found: dict[str, Any] = {}
    exec(compile(made, function.__code__.co_filename, "exec"), function.__globals__, found)  # noqa: S102 - own code
    result: Callable[..., Any] = found[name]
    return result


class _Unrolling(ast.NodeTransformer):
    def __init__(self, constants: dict[str, int]) -> None:
        self._constants = constants
        self._registers: set[str] = set()

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if isinstance(node.value, ast.Name) and node.value.id == "REGISTERS":
            self._registers |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            return None
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = isinstance(node.ctx, ast.Load) and node.id in self._constants
        return ast.copy_location(ast.Constant(self._constants[node.id]), node) if known else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        made = self.generic_visit(node)
        assert isinstance(made, ast.Subscript)  # noqa: S101 - a generic visit keeps the kind
        if isinstance(made.value, ast.Name) and made.value.id in self._registers:
            return ast.copy_location(ast.Name(f"{made.value.id}_{_value(made.slice)}", made.ctx), made)
        return made

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
        steps = self.visit(deepcopy(node.iter))
        if not (isinstance(steps, ast.Call) and isinstance(node.target, ast.Name) and all(map(_known, steps.args))):
            return self.generic_visit(node)
        outer, body = self._constants, []
        for value in range(*map(_value, steps.args)):
            self._constants = {**outer, node.target.id: value}
            body += self._statements(deepcopy(node.body))
        self._constants = outer
        return body

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = self.visit(deepcopy(node.test))
        if not _known(test):
            return self.generic_visit(node)
        return self._statements(node.body if _value(test) else node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        test = self.visit(deepcopy(node.test))
        if not _known(test):
            return self.generic_visit(node)
        chosen: ast.AST = self.visit(node.body if _value(test) else node.orelse)
        return chosen

    def _statements(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for node in nodes:
            visited = self.visit(node)
            made += visited if isinstance(visited, list) else [visited] if visited is not None else []
        return made


def _known(node: ast.AST) -> bool:
    """Whether an expression is made of constants alone."""
    return all(isinstance(n, ast.Constant | ast.operator | ast.cmpop | ast.expr_context | ast.BinOp | ast.Compare)
               for n in ast.walk(node))  # fmt: skip


def _value(node: ast.AST) -> int:
    assert isinstance(node, ast.expr)  # noqa: S101 - only expressions are known
    result: int = eval(compile(ast.Expression(node), "<constants>", "eval"), {})  # noqa: S307 - constants alone
    return result
