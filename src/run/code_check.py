# Tells on stdout whether a source's code, given on stdin, can be run: syntax, and fetch_data with nothing to ask for.
# The code itself is not run.
import ast
import json
import sys


def required(arguments):
    positional = arguments.posonlyargs + arguments.args
    named = [name for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults) if value is None]
    return [a.arg for a in positional[:len(positional) - len(arguments.defaults)] + named]


def definitions(body):
    """fetch_data at the top level, also inside if, try and with."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == "fetch_data":
            yield node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "fetch_data" for t in targets):
                yield node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((name.asname or name.name) == "fetch_data" for name in node.names):
                yield node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                yield from definitions(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from definitions(handler.body)


def problem(code):
    tree = compile(code, "<code>", "exec", ast.PyCF_ONLY_AST)
    compile(tree, "<code>", "exec")  # what only the compiler finds: return outside of a function …
    found = list(definitions(tree.body))
    if not found:
        return None, "there is no fetch_data: define `def fetch_data():` at the top level"
    last = found[-1]
    if isinstance(last, (ast.FunctionDef, ast.AsyncFunctionDef)) and required(last.args):
        return last.lineno, "fetch_data is called without arguments, but it asks for " + ", ".join(required(last.args))
    return None


def main():
    try:
        found = problem(sys.stdin.buffer.read())
    except SyntaxError as error:
        found = error.lineno, "%s: %s" % (type(error).__name__, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; nested too deep
        found = None, str(error) or type(error).__name__
    print(json.dumps({"ok": True} if not found else {"ok": False, "line": found[0], "message": found[1]}))


main()
