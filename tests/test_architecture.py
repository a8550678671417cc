"""The rooms: who may import whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "phosphene"

# From the top of the house to its ground; imports go downward only.
ROOMS = (
    ("__init__", "__main__", "api"),
    ("cli",),
    ("demo", "lessons"),
    ("serving",),
    ("deploy",),
    ("evaluation",),
    ("training",),
    ("distillation",),
    ("families",),
    ("tasks",),
    ("measures",),
    ("data",),
    ("store",),
    ("networks",),
    ("diffusion",),
    ("pages",),
    ("pictures",),
    ("recipes",),
    ("kernels",),
    ("files", "version"),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
FILES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Modules of phosphene that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{path}: imports are absolute")
    return {name for name in found if name.split(".")[0] == "phosphene"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    own = FLOOR[room(path)]
    for name in imported(path):
        parts = name.split(".")
        if len(parts) == 1 or parts[1] == "__version__":
            continue
        other = parts[1]
        assert other in FLOOR, f"{name}: not a room"
        assert other == room(path) or FLOOR[other] > own or own == 0, f"{path} imports {name}, which is above"


def test_files_inside_a_room_have_no_cycles():
    modules = {".".join(("phosphene", *p.relative_to(SOURCE).with_suffix("").parts)): p for p in FILES}
    edges = {}
    for name, path in modules.items():
        targets = imported(path)
        edges[name] = {m for m in modules if m in targets or any(t.rpartition(".")[0] == m for t in targets)}
        edges[name] -= {name}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name in done:
            return
        for other in edges[name]:
            visit(other, (*way, name))
        done.add(name)

    for name in modules:
        visit(name, ())


def test_the_mathematics_needs_torch_only():
    allowed = {"torch", "jaxtyping", "phosphene", "math", "collections", "dataclasses", "typing"}
    allowed |= {"functools", "inspect", "itertools"}
    for path in (SOURCE / "diffusion").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_one_concept(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "a module opens with its purpose"


def test_nothing_reads_or_writes_a_pickle():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                assert "pickle" not in names, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
