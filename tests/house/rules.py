"""The house rules, as functions from source text to complaints.

A rule gets one module (or one tracked text file) and yields a sentence for every place that breaks it. The rules
about imports between rooms stand in pyproject.toml; here is what import contracts can not say.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

READING_ROOMS: Final = ("samsyn.search", "samsyn.retrieve", "samsyn.render")
"""Rooms whose public functions answer with patients' information."""
MAX_LINES: Final = 600
BANNED_WORDS: Final = frozenset(
    word + plural for word in ("manager", "helper", "util", "service", "handler") for plural in ("", "s")
)
STANDARD_TERMS: Final = re.compile(r"service_?(request|class)", re.IGNORECASE)
"""Words of the standards that hold a banned one: FHIR's ServiceRequest, DICOM's service class."""
MUTABLE_MAKERS: Final = frozenset(
    (
        "list",
        "dict",
        "set",
        "bytearray",
        "deque",
        "defaultdict",
        "Counter",
        "OrderedDict",
        "WeakValueDictionary",
    )
)
MUTATING_METHODS: Final = frozenset(
    (
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "popitem",
        "clear",
        "add",
        "discard",
        "update",
        "setdefault",
    )
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One Python module: its dotted name, where it lies, and its parsed source."""

    name: str
    path: str
    source: str
    tree: ast.Module

    @classmethod
    def of(cls, name: str, source: str) -> "Module":
        """A module from its text."""
        return cls(name, name.replace(".", "/") + ".py", source, ast.parse(source))

    def is_in(self, *packages: str) -> bool:
        """Whether the module is one of the packages or lies inside one."""
        return any(self.name == package or self.name.startswith(package + ".") for package in packages)

    def at(self, node: ast.AST) -> str:
        """The place of a node, for a complaint."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def modules_below(root: Path) -> list[Module]:
    """Every module under a source folder."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text(encoding="utf-8")
        found.append(Module(name, str(path.relative_to(root.parent)), source, ast.parse(source)))
    return found


# -- reading: what the syntax tree says -------------------------------------------------------------------


def imported(module: Module) -> set[str]:
    """Every module and every `module.name` that is imported anywhere in it, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.name.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def called(node: ast.Call) -> str:
    """The last word of what is called: `Receipt` for `model.sender.Receipt(...)`."""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def is_public(name: str) -> bool:
    """Whether a name is meant for others."""
    return not name.startswith("_")


def public_functions(module: Module) -> Iterator[tuple[FunctionNode, bool]]:
    """Public functions and public methods of public classes; the flag tells a method."""
    for node in module.tree.body:
        if isinstance(node, FunctionNode) and is_public(node.name):
            yield node, False
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            for inner in node.body:
                if isinstance(inner, FunctionNode) and is_public(inner.name):
                    yield inner, True


def decorators(node: FunctionNode | ast.ClassDef) -> set[str]:
    """Last words of the decorators."""
    return {
        ast.unparse(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in node.decorator_list
    }


# -- rules on modules --------------------------------------------------------------------------------------


def reading_takes_a_view(module: Module) -> Iterator[str]:
    """In the reading rooms, what holds the store is reached only with a View as first argument."""
    if not module.is_in(*READING_ROOMS) or "samsyn.store.store.Store" not in imported(module):
        return
    for function, is_method in public_functions(module):
        arguments = [*function.args.posonlyargs, *function.args.args]
        if is_method and "staticmethod" not in decorators(function):
            arguments = arguments[1:]
        first = arguments[0] if arguments else None
        kind = ast.unparse(first.annotation).strip("'\"") if first is not None and first.annotation else ""
        if kind != "View":
            yield f"{module.at(function)}: {function.name} reads patients' information without a View first"


def receipts_are_made_in_the_store(module: Module) -> Iterator[str]:
    """Only the store proves that something is durable."""
    if not module.is_in("samsyn.store"):
        yield from _constructed(module, "Receipt")


def views_are_made_by_access(module: Module) -> Iterator[str]:
    """Only access/view.py makes the key, and nobody alters one."""
    if module.name == "samsyn.access.view":
        return
    yield from _constructed(module, "View")
    for node in ast.walk(module.tree):
        is_replace = isinstance(node, ast.Call) and called(node) == "replace" and bool(node.args)
        if is_replace and ast.unparse(node.args[0]).rpartition(".")[2] == "view":
            yield f"{module.at(node)}: a View is altered"


def _constructed(module: Module, kind: str) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) == kind:
            yield f"{module.at(node)}: {kind} is made here"


def doors_leave_the_store_alone(module: Module) -> Iterator[str]:
    """A door translates a protocol; it never touches the store, not even inside a function."""
    if module.is_in("samsyn.endpoints"):
        for name in sorted(imported(module)):
            if name == "samsyn.store" or name.startswith("samsyn.store."):
                yield f"{module.path}: imports {name}"


def modules_are_short(module: Module) -> Iterator[str]:
    """A module that has grown past the limit is two modules."""
    lines = module.source.count("\n")
    if lines > MAX_LINES:
        yield f"{module.path}: {lines} lines"


def modules_hold_no_state(module: Module) -> Iterator[str]:
    """What changes lives in an object that somebody made and passed on, never in a module.

    Tables in capitals are allowed while nothing alters them.
    """
    tables: dict[str, ast.stmt] = {}
    for node in module.tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        value = node.value
        for target in targets:
            if isinstance(target, ast.Name) and value is not None and _is_mutable(value):
                tables[target.id] = node
                if not target.id.isupper() and target.id != "__all__":
                    yield f"{module.at(node)}: {target.id} is mutable and belongs to the module"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"{module.at(node)}: global {', '.join(node.names)}"
        for name in _altered(node):
            if name in tables:
                yield f"{module.at(node)}: {name} is altered"


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return isinstance(value, ast.Call) and called(value) in MUTABLE_MAKERS


def _altered(node: ast.AST) -> Iterator[str]:
    altered: ast.expr | None = None
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in MUTATING_METHODS
    ):
        altered = node.func.value
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        altered = node.value
    if isinstance(altered, ast.Name):
        yield altered.id


def names_say_what_things_are(module: Module) -> Iterator[str]:
    """No word that fits everything: a name tells what the thing does in the field's own words."""
    definitions = [(module.name.rpartition(".")[2], module.tree)]
    for node in ast.walk(module.tree):
        if isinstance(node, FunctionNode | ast.ClassDef):
            definitions.append((node.name, node))
    for name, node in definitions:
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", STANDARD_TERMS.sub("", name))
        for word in words:
            if word.lower() in BANNED_WORDS:
                yield f"{module.at(node)}: {name} says {word!r}"


def only_commands_print(module: Module) -> Iterator[str]:
    """What runs at a site logs; only the command line writes to the terminal."""
    if module.is_in("samsyn.cli", "samsyn_demo"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{module.at(node)}: print"


def public_things_are_described(module: Module) -> Iterator[str]:
    """Every module, public class and public function tells its promise."""
    if ast.get_docstring(module.tree) is None and module.source.strip():
        yield f"{module.path}: the module has no docstring"
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and is_public(node.name) and ast.get_docstring(node) is None:
            yield f"{module.at(node)}: {node.name} has no docstring"
    for function, _ in public_functions(module):
        exempt = decorators(function) & {"overload", "override", "setter"}
        if not exempt and ast.get_docstring(function) is None:
            yield f"{module.at(function)}: {function.name} has no docstring"


Rule = Callable[[Module], Iterator[str]]

RULES: Final[tuple[Rule, ...]] = (
    reading_takes_a_view,
    receipts_are_made_in_the_store,
    views_are_made_by_access,
    doors_leave_the_store_alone,
    modules_are_short,
    modules_hold_no_state,
    names_say_what_things_are,
    only_commands_print,
    public_things_are_described,
)


def inner_modules_stay_inside(modules: list[Module]) -> Iterator[str]:
    """What reads rows over an index connection in a reading room is for that room alone: it knows no View."""
    for room in READING_ROOMS:
        inner = {module.name for module in modules if module.is_in(room) and _reads_rows(module)}
        for module in modules:
            if not module.is_in(room):
                for name in sorted(inner & imported(module)):
                    yield f"{module.path}: {name} reads rows and belongs to {room} alone"


def _reads_rows(module: Module) -> bool:
    for function, _ in public_functions(module):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if any("Connection" in ast.unparse(a.annotation) for a in arguments if a.annotation is not None):
            return True
    return False


# -- rules on every tracked text ---------------------------------------------------------------------------

ALLOWED_HOSTS: Final = re.compile(
    r"(localhost|127\.0\.0\.1|\[::1\]|\{.*|[\w.-]*\bexample(\.(com|org|se|net))?|[\w.-]+\.(example|test|invalid)"
    r"|(www\.)?w3\.org|(\w+\.)?hl7\.(org|se)|dicom\.nema\.org|electronichealth\.se|loinc\.org|(profiles\.)?ihe\.net|snomed\.info"
    r"|wadl\.dev\.java\.net|(?:id\.)?sambi\.se|schemas\.openid\.net|unitsofmeasure\.org|www\.apache\.org|www\.rfc-editor\.org|schemas\.xmlsoap\.org|[\w.-]+\.inera\.se)"
)
MACHINE_PLACES: Final = re.compile(
    r"(?<![\w.])/(?:work|root|home/\w+|opt/\w+|Users/\w+)/|\.py"
    r"env\b"
    r"|(?:py"
    r"pi|npm"
    r"js|python"
    r"hosted)\.(?:org|com)|registry\.\w+\.(?:com|org|io|net)|index-url[ =]\S*//"
    r"|(?<!\w)\.\./sha"
    r"red\b"
)


def texts_name_no_place(path: str, text: str) -> Iterator[str]:
    """No server outside and no folder of one machine: the project builds anywhere."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in re.findall(r"\b(?:https?|wss?)://([^/\s\"'`<>)\]:,;]+)", line):
            if not ALLOWED_HOSTS.fullmatch(host):
                yield f"{path}:{number}: names the host {host}"
        if found := MACHINE_PLACES.search(line):
            yield f"{path}:{number}: names the place {found[0]}"


def luhn_is_right(digits: str) -> bool:
    """Modulus 10 over YYMMDDNNNC."""
    total = 0
    for place, digit in enumerate(digits):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


def could_be_a_person(number: str) -> bool:
    """Whether ten or twelve digits are a well-formed personnummer or samordningsnummer (day + 60)."""
    digits = number[-10:]
    century = int(number[:2]) if len(number) == 12 else 20
    day = int(digits[4:6])
    try:
        date(century * 100 + int(digits[:2]), int(digits[2:4]), day - 60 if day > 60 else day)
    except ValueError:
        return False
    return luhn_is_right(digits)


def is_published_test_number(number: str) -> bool:
    """Skatteverket's test series: serials 980 to 999, and 238 and 239, which are never given to anybody."""
    return number[-4:-1] in ("238", "239") or number[-4:-2] in ("98", "99")


def texts_name_no_person(path: str, text: str, allowed: frozenset[str]) -> Iterator[str]:
    """No number that may belong to somebody: only published test numbers and the list beside this file."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in re.findall(
            r"(?<![\w.])((?:18|19|20)\d{6}[-+]?\d{4}|\d{6}[-+]\d{4})(?![\w.]\w|\w)", line
        ):
            digits = found.replace("-", "").replace("+", "")
            if could_be_a_person(digits) and not is_published_test_number(digits) and digits not in allowed:
                yield f"{path}:{number}: {found} may be somebody's number"
