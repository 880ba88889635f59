"""Code of data sources: the names that deva gives it without an import, and looking at it without running it.

The names are put in front as one line with a mark, only those that the code uses and does not make itself; the line is
taken away again wherever the code is shown.
"""

import ast
import symtable
from typing import Iterator, List

_MARK = "  # names that deva gives to its code"
_IMPORTS = {
    **{name: f"import {name}" for name in ("pandas", "numpy", "datetime", "time", "json", "random", "math", "re", "os",
                                           "sys")},
    "pd": "import pandas as pd", "np": "import numpy as np",
    **{name: f"from typing import {name}" for name in ("Any", "Dict", "List", "Optional")},
}


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from _tables(inner)


def _missing(code: str) -> List[str]:
    """Names that are read as globals and never made."""
    module = symtable.symtable(code, "<code>", "exec")
    made, read = set(), set()
    for table in _tables(module):
        for symbol in table.get_symbols():
            is_global = table is module or symbol.is_global()
            if is_global and (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
                made.add(symbol.get_name())
            if is_global and symbol.is_referenced():
                read.add(symbol.get_name())
    return [name for name in _IMPORTS if name in read - made]


def _lines_that_stay_first(code: str) -> int:
    last = 0
    for node in ast.parse(code).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_text and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        last = node.end_lineno or last
    return last


def complete(code: str) -> str:
    """The code with the imports that deva's own environment has. Code that is no Python stays as it is."""
    try:
        names = _missing(code)
        if not names:
            return code
        lines = code.splitlines(keepends=True)
        lines.insert(_lines_that_stay_first(code), "; ".join(_IMPORTS[name] for name in names) + _MARK + "\n")
        return "".join(lines)
    except (SyntaxError, ValueError):
        return code


def strip(code: str) -> str:
    """The code as the program gave it."""
    return "".join(line for line in code.splitlines(keepends=True) if not line.rstrip("\n").endswith(_MARK))


def has_fetch_data(code: str) -> bool:
    """Whether the code is Python and makes `fetch_data`. Raises SyntaxError."""
    table = symtable.symtable(code, "<code>", "exec")
    return "fetch_data" in table.get_identifiers() and (
        table.lookup("fetch_data").is_assigned() or table.lookup("fetch_data").is_imported())
