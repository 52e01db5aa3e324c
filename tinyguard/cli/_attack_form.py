# SPDX-License-Identifier: Apache-2.0
"""The forms of `tinyguard attack`: what each does, which options it has, which is meant by what was typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

_ANYWHERE = {"as_json", "help"}


@dataclass(frozen=True)
class Form:
    """`title` heads its `options` in the help. `chosen_by`: the parameter that asks for it, None for the form
    that is meant without one; `does` completes "--replay, which ...". `shared`: other parameters that it has
    too. `run` gets the values of all parameters by name."""

    title: str
    chosen_by: str | None
    does: str
    options: Sequence[click.Option]
    shared: frozenset[str]
    run: Callable[[Mapping[str, Any]], None]

    @property
    def parameters(self) -> frozenset[str]:
        """The names of all parameters that it has."""
        return self.shared.union(str(option.name) for option in self.options)


class FormCommand(click.Command):
    """Its help has the options form by form."""

    def __init__(self, *given: Any, forms: Sequence[Form], epilogue: Callable[[], str], **named: Any) -> None:
        super().__init__(*given, **named)
        self._forms, self._epilogue = forms, epilogue

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        declared = [option for form in self._forms for option in form.options]
        others = [p for p in self.get_params(context) if isinstance(p, click.Option) and p not in declared]
        for title, options in [*((form.title, form.options) for form in self._forms), ("Also", others)]:
            records = (option.get_help_record(context) for option in options)
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        del context
        formatter.write(f"\n{self._epilogue()}\n")


def chosen_form(context: click.Context, forms: Sequence[Form]) -> Form:
    """The form that was typed. Raises UsageError naming what does not belong to it."""
    values = context.params
    form = next((form for form in forms if form.chosen_by and values[form.chosen_by] is not None), forms[0])
    for parameter in context.command.get_params(context):
        name = str(parameter.name)
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name not in form.parameters | _ANYWHERE:
            raise click.UsageError(_astray(_typed(parameter), name, form, forms))
    if values["model"] is None and "model" in form.parameters:
        raise click.UsageError("name the MODEL, a .tflite file")
    if values["serial"] is not None and values["backend"] is not None:
        raise click.UsageError("--serial runs the board, --backend the host: give one of them")
    return form


def _astray(typed: str, name: str, form: Form, forms: Sequence[Form]) -> str:
    """Why a parameter of another form cannot be taken."""
    if form.chosen_by is not None:
        return f"{typed} does not go with {_chooser(form)}, which {form.does}"
    owner = next(other for other in forms if name in other.parameters)
    return f"{typed} goes with {_chooser(owner)} alone"


def _chooser(form: Form) -> str:
    return next(_typed(option) for option in form.options if option.name == form.chosen_by)


def _typed(parameter: click.Parameter) -> str:
    """As it is typed: the long name of an option, the name of an argument."""
    if isinstance(parameter, click.Argument):
        return parameter.human_readable_name
    return max(parameter.opts, key=len)
