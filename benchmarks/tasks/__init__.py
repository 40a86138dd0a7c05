"""The tasks of the finder benchmark: real data, every kind twice.

Of each pair the first task develops and the second is held out: opened once, for the figures reported. The
pairs were made before any result was seen. Kinds say what is special; tasks without a signal come last and
are counted by themselves.
"""

import dataclasses
from collections.abc import Callable

from lrscope import Problem
from tasks import awkward, plain


@dataclasses.dataclass(frozen=True)
class Task:
    """One problem to find a rate for.

    Attributes:
        kind: what it stands for, in a few words.
        make: makes the problem; its name is the task's.
        signal: whether there is anything to learn.
    """

    kind: str
    make: Callable[[], Problem]
    signal: bool = True

    @property
    def name(self) -> str:
        """As it is typed: digits-mlp-sgd."""
        return self.make.__name__.replace("_", "-")

    def problem(self) -> Problem:
        """The problem, anew."""
        return dataclasses.replace(self.make(), name=self.name)


def _pair(kind: str, develop: Callable[[], Problem], held_out: Callable[[], Problem]) -> tuple[Task, Task]:
    signal = not kind.startswith("no signal")
    return Task(kind, develop, signal), Task(kind, held_out, signal)


PAIRS = (
    _pair("MLP, classification", plain.digits_mlp_sgd, plain.cancer_mlp_momentum),
    _pair("MLP, regression", plain.diabetes_mlp_adam, plain.terrain_mlp_rmsprop),
    _pair("CNN", plain.digits_cnn_momentum, plain.patches_cnn_adam),
    _pair("CNN, BatchNorm", plain.patches_batchnorm_nesterov, plain.digits_batchnorm_adam),
    _pair("LayerNorm", plain.wine_layernorm_adamw, plain.digits_layernorm_sgd),
    _pair("transformer, language", plain.help_transformer_adamw, plain.help_transformer_cosine_adam),
    _pair("GRU", plain.help_gru_adam, plain.brain_gru_rmsprop),
    _pair("linear", plain.membrane_linear_nesterov, plain.digits_linear_sgd),
    _pair("autoencoder", plain.china_autoencoder_adam, plain.digits_autoencoder_momentum),
    _pair(
        "features as they are", awkward.wine_linear_unscaled_momentum, awkward.cancer_linear_unscaled_momentum
    ),
    _pair("summed loss", awkward.digits_sum_momentum, awkward.diabetes_sum_sgd),
    _pair("scaled inputs", awkward.cancer_inputs_x100_sgd, awkward.digits_inputs_x01_momentum),
    _pair("wrong labels", awkward.digits_wrong_labels_adam, awkward.cancer_wrong_labels_nesterov),
    _pair("dropout", awkward.digits_dropout_rmsprop, awkward.wine_dropout_adam),
    _pair("cosine schedule", awkward.digits_cosine_nesterov, awkward.cancer_cosine_adamw),
    _pair("weight decay", awkward.cancer_decay_momentum, awkward.digits_decay_adamw),
    _pair("warm start", awkward.digits_new_head_adam, awkward.flower_after_china_momentum),
    _pair("two parameter groups", awkward.digits_groups_adam, awkward.brain_groups_momentum),
    _pair("few data", awkward.digits_few_adam, awkward.iris_few_rmsprop),
    _pair("scaled loss", awkward.digits_loss_x02_sgd, awkward.membrane_loss_x1000_sgd),
    _pair("no signal: shuffled", awkward.diabetes_shuffled_adam, awkward.digits_shuffled_momentum),
    _pair("no signal: deaf loss", awkward.wine_deaf_loss_sgd, awkward.diabetes_deaf_loss_adamw),
)

HALVES: dict[str, tuple[Task, ...]] = {
    "develop": tuple(first for first, _ in PAIRS),
    "held-out": tuple(second for _, second in PAIRS),
}

TASKS: dict[str, Task] = {task.name: task for half in HALVES.values() for task in half}


def half_of(name: str) -> str:
    """The half a task is in."""
    return next(half for half, tasks in HALVES.items() if any(task.name == name for task in tasks))
