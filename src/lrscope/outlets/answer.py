"""Answer: a study's recommendation, which shows itself in a notebook beside the valley it was read off."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from lrscope.diagnosis.recommendation import Recommendation
from lrscope.errors import StudyError

if TYPE_CHECKING:  # it loads altair
    from lrscope.charts.chart import Readable


class Answer(Recommendation):
    """A recommendation that knows where it comes from.

    That is no field of it: what is printed, compared and written is the recommendation alone, and what is
    copied or pickled is a plain one. One changed by `dataclasses.replace` is of no study any more.
    """

    _read: "Callable[[], Readable] | None" = None

    @classmethod
    def of(cls, advice: Recommendation, read: Callable[[], "Readable"]) -> Self:
        """The same recommendation.

        Args:
            advice: the plain one.
            read: gives the study it is of, also when whoever asked has closed it.
        """
        own = cls(*_values(advice))
        object.__setattr__(own, "_read", read)
        return own

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """The sentence and the valley; the sentence alone where the study is gone."""
        from lrscope.outlets.notebook import shown_answer  # it loads altair

        with contextlib.suppress(StudyError):
            if self._read is not None:
                return shown_answer(self, self._read())
        return super()._repr_mimebundle_(include, exclude)

    def __repr__(self) -> str:
        return repr(Recommendation(*_values(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Recommendation, _values(self)


def _values(advice: Recommendation) -> tuple[Any, ...]:
    """Of its fields, in order."""
    return tuple(getattr(advice, field.name) for field in dataclasses.fields(advice))
