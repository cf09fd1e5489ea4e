"""The MODEL argument: ``package.module:callable``, ``path/file.py:callable``, ``torchvision:NAME``, ``timm:NAME``, ``hf:CONFIG``.

The libraries are imported only when a model of theirs is asked for. Whatever goes wrong is a sentence with the nearest name.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import nn

from ._errors import ArgumentError, FileError, InitiumError, nearest
from ._files import read_text

if TYPE_CHECKING:
    from ._plan import Plan

FORMS = "package.module:callable, path/to/file.py:callable, torchvision:NAME, timm:NAME or hf:CONFIG"
T = TypeVar("T")


def parsed_arguments(pairs: Iterable[str]) -> dict[str, Any]:
    """``["depth=3", "norm=layer"]`` -> ``{"depth": 3, "norm": "layer"}``: Python literals, else text.

    Raises:
        ArgumentError: no ``=``, or a key that stands twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ArgumentError(f"{pair!r} is not key=value")
        if key in found:
            raise ArgumentError(f"{key} is given twice")
        try:
            found[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[key] = text
    return found


def build_model(text: str, arguments: Mapping[str, Any] | None = None, *, seed: int = 0, meta: bool = False) -> nn.Module:
    """Build the model that a MODEL argument names; its constructor runs with torch's generator at ``seed``, which is put back.

    Args:
        text: one of the five forms.
        arguments: keywords for the callable; for ``hf:`` changes of the configuration.
        seed: of torch's generator while the constructor runs.
        meta: build it on meta, without memory.

    Returns:
        The model as its constructor leaves it; no weights are downloaded.

    Raises:
        ArgumentError: an unknown form or name (with the nearest), or a constructor that fails.

    Example:
        >>> build_model("torch.nn:Linear", {"in_features": 3, "out_features": 2})
        Linear(in_features=3, out_features=2, bias=True)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # before the import: a module may build its model as it is read
        maker = _maker(text)
        torch.manual_seed(seed)  # and again, so that what it built there does not matter
        with _sentences(text), torch.device("meta") if meta else contextlib.nullcontext():
            model = with_torchvision(lambda: maker(**(arguments or {})))
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"{text} makes a {type(model).__name__}, not an nn.Module")
    return model


def capture_model(text: str, arguments: Mapping[str, Any] | None = None, *, seed: int = 0) -> tuple[nn.Module, Plan]:
    """Capture the constructor that a MODEL argument names: its skeleton on meta, and the plan of its own initialisation.

    Args:
        text, arguments: as for ``build_model``.
        seed: of the plan.

    Raises:
        ArgumentError: as there; or the argument names a model that exists already, which has no constructor to run.
    """
    from ._capture.run import capture

    with torch.random.fork_rng(devices=[]):
        maker = _maker(text)
    if isinstance(maker, _Made):
        raise ArgumentError(
            f"{text} is a model already, so no constructor is left to capture: name a function or class that makes it, "
            f"or say --recipe"
        )
    with _sentences(text):
        return with_torchvision(lambda: capture(lambda: maker(**(arguments or {})), seed=seed))  # type: ignore[arg-type, return-value]


def model_callable(text: str, arguments: Mapping[str, Any] | None = None) -> Callable[[], Any]:
    """What a MODEL argument names, as a function without arguments; the module it stands in is imported, and nothing is built.

    Raises:
        ArgumentError: an unknown form or name, with the nearest.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a module may build its model as it is read
        maker = _maker(text)
    return functools.partial(with_torchvision, functools.partial(maker, **(arguments or {})))


@contextlib.contextmanager
def _sentences(text: str) -> Iterator[None]:
    """A constructor's exception, whatever it is, as a sentence."""
    try:
        yield
    except InitiumError:
        raise
    except (Exception, SystemExit) as error:  # a constructor may raise anything
        hint = "; give arguments by --arg key=value" if isinstance(error, TypeError) else ""
        raise ArgumentError(f"{text} cannot be built: {type(error).__name__}: {error}{hint}") from error


class _Made(NamedTuple):
    """A model that a module has made as it was read."""

    model: nn.Module

    def __call__(self, **arguments: Any) -> nn.Module:
        if arguments:
            raise TypeError("it is a model already, and takes no arguments")
        return self.model


def _maker(text: str) -> Callable[..., object]:
    home, colon, name = text.rpartition(":")
    if not colon or not home or not name:
        raise ArgumentError(f"{text!r} is neither a file that exists nor a model: a model is {FORMS}")
    if home in _LIBRARIES:
        return _LIBRARIES[home](name)
    if home.endswith(".py") or "/" in home:
        return _from_file(Path(home), name)
    return _attribute(_imported(home), name, home)


def _from_file(path: Path, name: str) -> Callable[..., object]:
    read_text(path, "Python")  # says what is wrong with the file, if anything is
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileError(f"{path} is not a Python file: its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    previous, sys.modules[path.stem] = sys.modules.get(path.stem), module
    loader = spec.loader
    try:
        with _importable(path.parent):
            with_torchvision(lambda: loader.exec_module(module))
    except SyntaxError as error:
        raise FileError(f"{path}:{error.lineno}:{error.offset}: {error.msg}") from None
    except (Exception, SystemExit) as error:  # the file is the user's and may raise anything
        raise ArgumentError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        if previous is not None:
            sys.modules[path.stem] = previous
    return _attribute(module, name, str(path))


def _imported(name: str) -> Any:
    try:
        with _importable(Path.cwd()):
            return with_torchvision(lambda: importlib.import_module(name))
    except ModuleNotFoundError as error:
        known = [*_LIBRARIES, *sys.modules]
        what = f"there is no module {error.name!r}" if error.name else str(error)
        raise ArgumentError(f"{name} cannot be imported: {what}.{nearest(name, known)} A model is {FORMS}") from None
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise ArgumentError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules in the folder can be imported, as under ``python -m``."""
    added = str(folder.resolve())
    sys.path.insert(0, added)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(added)


def _attribute(module: Any, path: str, where: str) -> Callable[..., Any]:
    found = module
    for name in path.split("."):
        if not hasattr(found, name):
            known = [word for word in dir(found) if not word.startswith("_")]
            raise ArgumentError(f"{where} has no {name!r}.{nearest(name, known)}")
        found = getattr(found, name)
    if isinstance(found, nn.Module):
        return _Made(found)  # type: ignore[return-value]
    if not callable(found):
        raise ArgumentError(f"{where}:{path} is a {type(found).__name__}, not something that makes a model")
    return found  # type: ignore[no-any-return]


# --- libraries


def _library(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise ArgumentError(f"{name} is not installed here: pip install {name}")
    try:
        return with_torchvision(lambda: importlib.import_module(name))
    except Exception as error:  # a broken installation may raise anything
        raise ArgumentError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _torchvision(name: str) -> Callable[..., object]:
    models = _library("torchvision").models
    if name not in models.list_models():
        raise ArgumentError(f"torchvision has no model {name!r}.{nearest(name, models.list_models())}")
    takes = inspect.signature(models.get_model_builder(name)).parameters
    nothing = dict.fromkeys(
        ["weights", "weights_backbone"] if "weights_backbone" in takes else ["weights"]
    )  # detectors download a backbone
    return lambda **arguments: models.get_model(name, **{**nothing, **arguments})


def _timm(name: str) -> Callable[..., object]:
    timm = _library("timm")
    if not timm.is_model(name.split(".")[0]):
        raise ArgumentError(f"timm has no model {name!r}.{nearest(name, timm.list_models())}")
    return lambda **arguments: timm.create_model(name, **{"pretrained": False, **arguments})


def _hf(config: str) -> Callable[..., object]:
    transformers = _library("transformers")
    path = Path(config)
    if path.is_dir():
        path = path / "config.json"
    if path.suffix == ".json" or path.exists():
        fields = _config_fields(path)
    else:
        known = list(transformers.CONFIG_MAPPING)
        if config not in known:
            raise ArgumentError(
                f"transformers has no model type {config!r}, and there is no such file.{nearest(config, known)} "
                f"hf: takes a config.json, a folder that has one, or a model type"
            )
        fields = {"model_type": config}

    def make(**changes: Any) -> object:
        made = transformers.CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
        for key, value in changes.items():
            if not hasattr(made, key):
                raise ArgumentError(f"the configuration of {made.model_type} has no {key!r}.{nearest(key, made.to_dict())}")
            setattr(made, key, value)
        return _of_config(transformers, made)

    return make


def _config_fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(read_text(path, "a configuration"))
    except json.JSONDecodeError as error:
        raise FileError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    import transformers

    model_type = fields.get("model_type") if isinstance(fields, dict) else None
    if model_type not in transformers.CONFIG_MAPPING:
        raise FileError(
            f"{path} has no model_type that transformers knows: {model_type!r}.{nearest(str(model_type), transformers.CONFIG_MAPPING)}"
        )
    return dict(fields)


def _of_config(transformers: Any, config: Any) -> object:
    """The class that the configuration names, else the one it is trained with, else the bare model."""
    for name in config.architectures or ():
        cls = getattr(transformers, name, None)
        if cls is None:
            raise ArgumentError(
                f"transformers has no class {name!r}, which the configuration names.{nearest(name, dir(transformers))}"
            )
        return cls._from_config(config)
    kind = type(config)
    if kind in transformers.MODEL_FOR_PRETRAINING_MAPPING:  # BERT is in the causal list too, as a decoder that it seldom is
        return transformers.AutoModelForPreTraining.from_config(config)
    causal = kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    return (transformers.AutoModelForCausalLM if causal else transformers.AutoModel).from_config(config)


_LIBRARIES: dict[str, Callable[[str], Callable[..., object]]] = {"torchvision": _torchvision, "timm": _timm, "hf": _hf}


def with_torchvision(do: Callable[[], T]) -> T:
    """Run ``do``; where it fails because torchvision's compiled operators are not there, do without them and run it again.

    A torchvision built for another torch, or without its C++ part, stops at the shape rules of operators like ``nms``, which no
    backbone needs. Leaving those registrations out lets the models be built.
    """
    try:
        return do()
    except Exception as error:  # transformers and timm wrap it in errors of their own
        if not _lacks_operators(error) or ("torchvision.extension" in sys.modules and "torchvision.models" in sys.modules):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    with _without_torchvision_shape_rules():
        importlib.import_module("torchvision")
    return do()


def _lacks_operators(error: BaseException | None) -> bool:
    while error is not None:
        if "torchvision::" in str(error) and "does not exist" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def _without_torchvision_shape_rules() -> Iterator[None]:
    register = torch.library.register_fake

    def register_others(op: Any, func: Any = None, /, **options: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::"):
            return func if func is not None else (lambda function: function)
        return register(op, func, **options) if func is not None else register(op, **options)

    torch.library.register_fake = register_others
    try:
        yield
    finally:
        torch.library.register_fake = register
