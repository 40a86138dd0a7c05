import pickle
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from lrscope.errors import ProblemError
from lrscope.problems.load import load_problem

HEAD = """
import torch
from torch import nn
from lrscope.problems.problem import Problem

def make(name="mine", **changes):
    fields = dict(name=name, model=lambda: nn.Linear(2, 1), train=(torch.ones(4, 2), torch.ones(4, 1)),
                  loss=nn.MSELoss())
    return Problem(**{**fields, **changes})
"""


@pytest.fixture(autouse=True)
def paths_stay_as_they_are(tmp_path, monkeypatch):
    """Whatever is loaded, and however that ends, `sys.path` and the working directory are the same after."""
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield
    assert sys.path == before
    assert Path.cwd() == tmp_path


def write(path, text, head=HEAD):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(head + textwrap.dedent(text))
    return path


def refusal(reference, data=None):
    with pytest.raises(ProblemError) as caught:
        load_problem(reference, data)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestBuiltIn:
    def test_a_name_is_enough(self):
        assert load_problem("line").name == "line"

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("digit", "digits"), ("Digits", "digits"), ("minst", "mnist"), ("fashion_mlp", "fashion-mlp")],
    )
    def test_a_slip_is_answered_with_what_was_meant(self, typed, meant):
        message = refusal(typed)
        assert f"no problem is called {typed!r}; did you mean {meant}" in message
        assert "See lrscope problems" in message

    @pytest.mark.parametrize("typed", ["resnet", "", ":", ":problem", "a" * 5000, "\0"])
    def test_an_unknown_name_is_answered_with_all_there_are(self, typed):
        message = refusal(typed)
        assert "there are digits, line, quadratic, diabetes-mlp, mnist, fashion, fashion-mlp." in message
        assert len(message) < 400

    def test_a_file_of_that_name_is_pointed_at(self):
        write("mine.py", "")
        assert refusal("mine").endswith("for the file of that name type mine.py")

    def test_a_folder_for_a_problem_that_takes_none_is_refused(self, tmp_path):
        assert refusal("digits", tmp_path).startswith("digits takes no --data")
        write("mine.py", "problem = make()")
        assert "--data is for the built-in problems mnist, fashion, fashion-mlp" in refusal(
            "mine.py", tmp_path
        )
        assert "no problem is called 'digit'" in refusal("digit", tmp_path)

    def test_a_folder_that_is_missing_is_told(self, tmp_path):
        assert "absent does not exist" in refusal("mnist", tmp_path / "absent")


class TestFile:
    @pytest.mark.parametrize("place", ["mine.py", "./mine.py", "sub folder/mine.py", "{}/mine.py"])
    def test_a_problem_is_found_by_its_name(self, tmp_path, place):
        path = place.format(tmp_path)
        write(path, "other = make('other')\nproblem = make()")
        assert load_problem(f"{path}:other").name == "other"
        assert load_problem(f"{path}:problem").name == "mine"

    def test_a_function_without_arguments_is_called(self):
        write("mine.py", "def made(width=3): return make(f'width {width}')\ndef wants(width): return make()")
        assert load_problem("mine.py:made").name == "width 3"
        assert "wants in mine.py cannot be called without arguments" in refusal("mine.py:wants")

    def test_the_name_may_be_left_out_where_it_is_clear(self):
        write("one.py", "only = make('only')")
        write("named.py", "other = make('other')\nproblem = make('problem')")
        write("function.py", "def problem(): return make('made')")
        assert load_problem("one.py").name == "only"
        assert load_problem("one.py:").name == "only"
        assert load_problem("named.py").name == "problem"
        assert load_problem("function.py").name == "made"

    def test_the_name_is_asked_for_where_it_is_not(self):
        write("two.py", "first = make()\nsecond = make()")
        assert refusal("two.py") == (
            "two.py needs a name after it, as two.py:first; it has the problems first, second"
        )
        write("none.py", "")
        assert refusal("none.py").endswith("as none.py:problem; it has no Problem")

    def test_a_name_that_is_not_there_is_answered_with_those_that_are(self):
        write("mine.py", "first = make()\nsecond = make()\ndef build(): return make()")
        assert refusal("mine.py:frist") == "mine.py has no 'frist'; it has the problems first, second"
        assert refusal("mine.py:biuld").endswith("did you mean build?")

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("problem = 3", "problem in mine.py is of type int; wanted is an lrscope.Problem"),
            ("problem = nn.Linear(2, 1)", "problem in mine.py is of type Linear; wanted is"),
            ("def problem(): return 3", "problem() in mine.py returns int"),
            ("class problem(nn.Module): pass", "problem() in mine.py returns problem; wanted is"),
        ],
    )
    def test_what_is_no_problem_is_refused_by_its_type(self, code, words):
        write("mine.py", code)
        assert words in refusal("mine.py")

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (
                "import nothing_of_the_kind",
                "mine.py, line 2: ModuleNotFoundError: No module named 'nothing_of",
            ),
            ("x = 1\n1 / 0", "mine.py, line 3: ZeroDivisionError: division by zero"),
            ("x = (", "mine.py, line 2: SyntaxError: '(' was never closed"),
            ("raise SystemExit('bye')", "mine.py, line 2: SystemExit: bye"),
            ("raise ValueError('one\\ntwo')", "mine.py, line 2: ValueError: one two"),
            ("assert False", "mine.py, line 2: AssertionError"),
            (
                "def problem():\n    x = 1\n    return [][x]",
                "mine.py, line 4: IndexError: list index out of range",
            ),
            ("import json\nproblem = json.loads('{')", "mine.py, line 3: JSONDecodeError: "),
            (
                "from lrscope.problems.problem import Problem\nproblem = Problem('', None, None)",
                "mine.py, line 3: a problem needs a name, a non-empty string; got ''",
            ),
        ],
    )
    def test_what_the_file_raises_is_told_with_the_line_in_it(self, code, words):
        write("mine.py", code, head="\n")
        before = set(sys.modules)
        assert refusal("mine.py").startswith(words)
        assert not [name for name in set(sys.modules) - before if name.startswith("_lrscope_problem")]

    def test_an_interruption_is_passed_on(self):
        write("mine.py", "raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            load_problem("mine.py")

    def test_a_file_that_is_missing_or_no_file_is_told(self, tmp_path):
        assert refusal("absent.py:problem").startswith("absent.py does not exist; wanted is a Python file")
        (tmp_path / "folder.py").mkdir()
        assert refusal("folder.py").startswith("folder.py is a folder")
        assert refusal("./:problem").startswith(". is a folder")
        (tmp_path / "notes.txt").write_text("")
        assert "no Python file" in refusal("notes.txt:problem")
        assert "does not exist" in refusal("~nobody-of-this-name/mine.py")

    def test_undecodable_source_is_told(self, tmp_path):
        (tmp_path / "mine.py").write_bytes(b"x = '\xff'\n")
        assert refusal("mine.py").startswith("mine.py")

    def test_it_is_not_run_as_a_script_and_leaves_nothing_behind(self, tmp_path):
        write("mine.py", "problem = make()\nif __name__ == '__main__': raise SystemExit('run as a script')")
        assert load_problem("mine.py").name == "mine"
        assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]

    def test_every_load_runs_the_file_as_it_is_now(self):
        write("mine.py", "problem = make('before')")
        assert load_problem("mine.py").name == "before"
        write("mine.py", "problem = make('after!')")
        assert load_problem("mine.py").name == "after!"

    def test_what_is_defined_in_it_can_be_pickled(self):
        write("mine.py", "class Net(nn.Linear): pass\ndef net(): return Net(2, 1)\nproblem = make(model=net)")
        model = pickle.loads(pickle.dumps(load_problem("mine.py"))).model()
        assert type(model).__name__ == "Net"


class TestSiblings:
    def test_files_and_packages_beside_it_are_imported(self):
        write("a/mine.py", "from net import Net\nfrom parts.deep import width\nproblem = make(model=Net)")
        write("a/net.py", "class Net(nn.Linear):\n    def __init__(self): super().__init__(2, 1)")
        write("a/parts/__init__.py", "", head="")
        write("a/parts/deep.py", "width = 3", head="")
        assert type(load_problem("a/mine.py").model()).__name__ == "Net"

    def test_each_folder_has_its_own(self):
        for folder in ("a", "b"):
            write(f"{folder}/mine.py", "from net import name\nproblem = make(name)")
            write(f"{folder}/net.py", f"name = 'of {folder}'", head="")
        assert load_problem("a/mine.py").name == "of a"
        assert load_problem("b/mine.py").name == "of b"
        assert load_problem("a/mine.py").name == "of a"

    def test_the_model_factory_may_import_them_when_it_is_called(self):
        write(
            "a/mine.py",
            """
            def net():
                from late import Net
                return Net(2, 1)
            problem = make(model=net)
            """,
        )
        write("a/late.py", "class Net(nn.Linear): pass")
        assert type(load_problem("a/mine.py").model()).__name__ == "Net"

    def test_an_error_in_one_is_told_with_the_line_that_imports_it(self):
        write("mine.py", "import net", head="\n")
        write("net.py", "x = (", head="\n")
        assert refusal("mine.py") == "mine.py, line 2: SyntaxError: '(' was never closed (net.py, line 2)"

    def test_installed_modules_are_never_taken_for_them(self):
        write("mine.py", "import colorsys\nproblem = make()")
        sys.modules.pop("colorsys", None)
        load_problem("mine.py")
        kept = sys.modules["colorsys"]
        load_problem("mine.py")
        assert sys.modules["colorsys"] is kept
        assert sys.modules["torch"] is torch


class TestModule:
    @pytest.fixture(autouse=True)
    def forget(self):
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("package_of_mine", "module_of_mine"):
                del sys.modules[name]

    def test_a_module_is_found_from_the_working_directory(self):
        write("package_of_mine/__init__.py", "", head="")
        write(
            "package_of_mine/tasks.py",
            "from .net import Net\nfirst = make(model=Net)\ndef second(): return make()",
        )
        write(
            "package_of_mine/net.py", "class Net(nn.Linear):\n    def __init__(self): super().__init__(2, 1)"
        )
        assert type(load_problem("package_of_mine.tasks:first").model()).__name__ == "Net"
        assert load_problem("package_of_mine.tasks:second").name == "mine"
        assert load_problem("package_of_mine.tasks").name == "mine"
        assert refusal("package_of_mine.tasks:third") == (
            "package_of_mine.tasks has no 'third'; it has the problems first"
        )

    def test_one_without_packages_is_found_too(self):
        write("module_of_mine.py", "problem = make('whole')")
        assert load_problem("module_of_mine:problem").name == "whole"

    @pytest.mark.parametrize(
        "reference",
        ["absent_package.tasks:problem", "absent_module:problem", "torch.absent:problem", "..up:problem"],
    )
    def test_one_that_is_not_there_is_told(self, reference):
        assert f"module {reference.partition(':')[0]!r} is not found from here" in refusal(reference)

    def test_what_it_raises_is_told(self):
        write("module_of_mine.py", "1 / 0", head="\n")
        assert (
            refusal("module_of_mine:problem")
            == "module_of_mine.py, line 2: ZeroDivisionError: division by zero"
        )
        write("package_of_mine/__init__.py", "import nothing_of_the_kind", head="")
        write("package_of_mine/tasks.py", "problem = make()")
        assert refusal("package_of_mine.tasks:problem") == (
            "module 'package_of_mine.tasks' cannot be imported: ModuleNotFoundError: "
            "No module named 'nothing_of_the_kind'"
        )
