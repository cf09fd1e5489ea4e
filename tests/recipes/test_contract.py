"""The contract of every named recipe: a new one joins by standing in a file of ``src/initium/recipes``."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import initium
from initium import recipes
from initium._recipe import Named, named, named_recipes
from initium._text.recipes import parse_recipe, recipe_text

RECIPES = named_recipes()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ASKED = """
bert clip cleanrl dcgan dit gpt2 llama mamba megatron mixtral nanogpt olmo-mitchell olmo-normal t5 timm-convnext timm-efficientnet
timm-resnet timm-vit timm-vit-jax timm-vit-jax-nlhb timm-vit-moco torchtitan-llama3 torchvision-convnext torchvision-densenet
torchvision-efficientnet torchvision-mobilenet torchvision-regnet torchvision-resnet torchvision-swin torchvision-vgg torchvision-vit vit
whisper bn-zero-gamma chrono deepnorm depth-scaled edge-of-chaos fixup forget-bias gpt2-residual irnn layerscale mimetic random-walk rezero
selu siren skipinit small t-fixup wang zero
lora cyclegan stylegan2 adm stable-diffusion controlnet ddpmpp edm-adm sb3 torchvision-retinanet torchvision-faster-rcnn detectron2
mamba2 s4d olmo-core nanochat mpt subln timm-beit deit dinov2 switch-transformers torchtitan-qwen3 ds-init tat he xavier lecun orthogonal normal torch
""".split()  # noqa: SIM905


def test_the_names_that_users_rely_on_are_there() -> None:
    assert set(ASKED) <= set(RECIPES), sorted(set(ASKED) - set(RECIPES))


@pytest.mark.parametrize("name", RECIPES)
class TestEveryRecipe:
    def test_says_what_whence_and_when(self, name: str) -> None:
        entry = RECIPES[name]
        assert re.fullmatch(r"[a-z0-9_-]+", name)
        assert 20 < len(entry.summary) < 150
        assert entry.summary.endswith(".")
        for section in ("Use when", "Not when", "Source"):
            assert len(entry.said(section)) > 15, f"{name} has no {section}"
        doc = inspect.getdoc(entry.factory) or ""
        for knob in inspect.signature(entry.factory).parameters:
            assert re.search(rf"^    (\w+, )*{knob}(, \w+)*: ", doc, re.MULTILINE), f"{name}: the knob {knob} is not explained"
            assert inspect.signature(entry.factory).parameters[knob].default is not inspect.Parameter.empty

    def test_the_example_runs_on_a_model_of_its_family(self, name: str) -> None:
        factory = RECIPES[name].factory
        known = {"torch": torch, "nn": nn, "initium": initium}
        test = doctest.DocTestParser().get_doctest(inspect.getdoc(factory) or "", known, name, None, None)
        assert test.examples
        assert any("initium." in example.source for example in test.examples), "it shows the recipe at work"
        told: list[str] = []
        failed, _ = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=told.append)
        assert not failed, "".join(told)

    def test_has_its_name_and_is_the_same_each_time(self, name: str) -> None:
        one, other = initium.recipe(name), initium.recipe(name.upper())
        assert one.name == name
        assert [str(rule) for rule in one.rules] == [str(rule) for rule in other.rules]
        for alias in RECIPES[name].aliases:
            assert initium.recipe(alias).name == name

    def test_refuses_a_knob_that_it_has_not(self, name: str) -> None:
        with pytest.raises(initium.InitiumError, match=f"{name}.*has no knob 'volume'"):
            initium.recipe(name, volume=11)


GENERAL = ("he", "xavier", "lecun", "orthogonal", "normal", "selu", "random-walk", "bert", "llama", "mixtral", "vit")


@pytest.mark.parametrize("name", GENERAL)
def test_as_text_it_plans_the_same(name: str) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8))
    said = initium.recipe(name)
    again = parse_recipe(recipe_text(said, "yaml"), "yaml")
    assert initium.plan(net, again, seed=0) == initium.plan(net, said, seed=0)


def test_every_file_of_the_folder_is_a_family_with_recipes() -> None:
    files = {path.stem for path in Path(recipes.__file__).parent.glob("*.py") if not path.stem.startswith("_")}
    assert set(recipes.FAMILIES) == files
    homes = {entry.factory.__module__.rpartition(".")[2] for entry in RECIPES.values()}
    assert files <= homes, "a file without a recipe"
    for family in files:
        assert (importlib.import_module(f"initium.recipes.{family}").__doc__ or "").strip(), (
            "its page begins with its docstring"
        )


def test_a_name_is_given_once() -> None:
    def he() -> initium.Recipe:
        return initium.Recipe([])

    with pytest.raises(initium.InitiumError, match=r"two recipes are called 'kaiming': initium\.recipes\.general\.he and .*he"):
        named("new-name", "kaiming")(he)
    assert "new-name" not in named_recipes(), "nothing is half registered"


def test_a_section_may_run_over_lines_and_be_absent() -> None:
    def factory() -> None:
        """Summary.

        Use when: one line
            and another.
        Source: here.
        """

    entry = Named("x", factory)  # type: ignore[arg-type]
    assert entry.said("Use when") == "one line and another."
    assert entry.said("Source") == "here."
    assert entry.said("Not when") == ""


def package(folder: Path, name: str, points: str) -> None:
    """What an installed package leaves of itself: its name and its entry points."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def run_with(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    paths = f"{folder}:{Path(initium.__file__).parent.parent}"
    env = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "160"}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8", check=False)


def test_a_package_brings_its_own_recipe_and_initializer(tmp_path: Path) -> None:
    (tmp_path / "lab_inits.py").write_text(
        """
from dataclasses import dataclass
import initium
from initium import Initializer, Recipe, Rule
from initium._laws import Uniform

@dataclass(frozen=True)
class Narrow(Initializer):
    '''U(±0.001).'''
    name = "lab_narrow"
    def law_for(self, shape, layout):
        return Uniform(-0.001, 0.001)

@initium.named("lab-recipe", "lab")
def lab():
    '''Weights U(±0.001), biases 0.

    Use when: in this lab.
    Source: our notebook.
    '''
    return Recipe([Rule(role="weight", initializer="lab_narrow"), Rule(role="bias", initializer=0, optional=True)])

def lab_bare(std: float = 0.5):
    '''Weights N(0, 0.25), kept biases; registered by its entry point alone.'''
    return Recipe([Rule("**", initium.Keep()), Rule(role="weight", initializer=initium.Normal(std))])
"""
    )
    package(
        tmp_path,
        "lab-inits",
        "[initium.recipes]\nlab-recipe = lab_inits:lab\nlab-bare = lab_inits:lab_bare\n"
        "[initium.initializers]\nlab_narrow = lab_inits:Narrow\n",
    )
    code = """
import torch, initium
net = torch.nn.Linear(8, 8)
print(initium.plan(net, "lab", seed=0)["weight"].initializer, initium.plan(net, "lab-bare", seed=0)["weight"].std)
print(initium.plan(net, [initium.Rule("**", "lab_narrow")], seed=0)["bias"].std)
from initium.cli import main
main(["recipes"], standalone_mode=False)
"""
    done = run_with(tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lab_narrow 0.5\n0.000577")
    assert re.search(r"lab-recipe, lab\s.*in this lab\..*our notebook\.", done.stdout)


def test_a_broken_package_is_left_out_with_a_warning_and_breaks_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "lab_broken.py").write_text("raise ImportError('libfoo.so is missing')")
    (tmp_path / "lab_clash.py").write_text(
        """
from dataclasses import dataclass
import initium
ready = initium.Recipe([initium.Rule("**", initium.Constant(0.25))])
number = 3
def he(): return ready
def needs(scale): return initium.Recipe([initium.Rule("**", initium.Constant(scale))])
def wrong(): return [1]
def define():
    @dataclass(frozen=True)
    class Normal(initium.Initializer):
        name = "normal"
"""
    )
    (tmp_path / "lab_normal.py").write_text("import lab_clash; lab_clash.define()")
    package(
        tmp_path,
        "lab-broken",
        "[initium.recipes]\nbroken = lab_broken:x\nabsent = lab_clash:nothing\nhe = lab_clash:he\nnumber = lab_clash:number\n"
        "Ready = lab_clash:ready\nneeds = lab_clash:needs\nwrong = lab_clash:wrong\n"
        "[initium.initializers]\nnormal = lab_normal:x\n[initium.modules]\nm = lab_broken:x\n",
    )
    code = """
import torch, initium
net = torch.nn.Linear(8, 8)
print(initium.plan(net, "he", seed=0)["weight"].std, initium.plan(net, "ready", seed=0)["bias"].mean)
print(initium.plan(net, initium.recipe("needs", scale=2), seed=0)["bias"].mean, initium.Rule("**", "normal"))
for name in ("needs", "wrong", "broken"):
    try: initium.recipe(name)
    except initium.InitiumError as error: print(error)
from initium.cli import main
main(["recipes"], standalone_mode=False)
"""
    done = run_with(tmp_path, code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["0.5 0.25", "2 Rule('**', normal)"]
    assert lines[2] == "the recipe 'needs' has to be told scale: recipe('needs', scale=…)"
    assert lines[3].startswith("the recipe 'wrong' made list, not a Recipe (lab_clash.wrong)")
    assert lines[4].startswith("no recipe is called 'broken'")
    assert any(line.startswith("timm-vit") for line in lines), "ours are listed"
    for said in (
        r"the entry point 'broken' \(lab_broken:x, from lab-broken\) of 'initium.recipes': ImportError: libfoo.so is missing",
        r"'absent' .*: AttributeError: module 'lab_clash' has no attribute 'nothing'",
        r"'he' of 'initium.recipes': two recipes are called 'he': initium.recipes.general.he and lab_clash.he",
        r"'number' of 'initium.recipes': it is int, and not a function that makes a Recipe",
        r"'normal' .*: ArgumentError: two initializers are called 'normal': initium.*Normal and lab_clash.define.<locals>.Normal",
        r"'m' \(lab_broken:x, from lab-broken\) of 'initium.modules': ImportError",
    ):
        assert len(re.findall(said, done.stderr)) == 1, f"{said} in {done.stderr}"


NONSENSE = [float("nan"), float("inf"), True, [], {}, 1j, None, "no such thing", 10**400]


@pytest.mark.parametrize("name", RECIPES)
def test_a_knob_is_what_its_function_says_it_is(name: str) -> None:
    """Every knob of every recipe × nonsense: a sentence, when the recipe is made or when it is planned; never a traceback from inside."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    for knob, parameter in inspect.signature(RECIPES[name].factory).parameters.items():
        for value in NONSENSE:
            meant = isinstance(value, bool if parameter.annotation == "bool" else str) or (
                value is None and "None" in parameter.annotation
            )
            try:
                initium.plan(net, initium.recipe(name, **{knob: value}), seed=0)
            except initium.InitiumError:
                continue
            assert meant or knob == "base", f"{knob}={value!r} was taken"


def test_knobs_are_told_by_name() -> None:
    for knobs, said in (
        ({"name": "gpt2", "depth": True}, "the recipe 'gpt2' expects a number for depth, got True"),
        ({"name": "he", "uniform": 1}, "the recipe 'he' expects True or False for uniform, got 1"),
        ({"name": "deit", "layer_scale": float("nan")}, "the recipe 'deit' expects a finite number for layer_scale, got nan"),
        ({"name": "clip", "std": "x"}, "the recipe 'clip' cannot do with std='x'"),
        ({"name": "cyclegan", "kind": []}, r"the recipe 'cyclegan' expects a text for kind, got \[\]"),
        ({"name": "edge-of-chaos", "activation": []}, "expects a name or a function for activation"),
    ):
        with pytest.raises(initium.InitiumError, match=said):
            initium.recipe(knobs.pop("name"), **knobs)  # type: ignore[arg-type]
