"""The documented example prompts that need neither a drawing nor an upload."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bathysphere.models.demo.conversation import Conversation, Outcome
from bathysphere.models.demo.plan import Plan, Toolbox

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_LIST = re.compile(r"\[([^\[\]]{0,100000})\]")
_PATH = re.compile(r"""['"`](?P<quoted>[^'"`\n]{1,400}\.\w{1,8})['"`]|(?P<bare>(?:/[\w.-]+)+|[\w-]+\.txt)""")


def numbers_in(prompt: str) -> list[float] | str | None:
    """The first list of numbers; a text that says what is wrong with it; None when there is no list."""
    match = _LIST.search(prompt)
    if match is None:
        return None
    items = [item.strip() for item in match[1].split(",") if item.strip()]
    wrong = next((item for item in items if not re.fullmatch(_NUMBER, item)), None)
    if wrong is not None:
        return f"{wrong[:60]!r} in the list is not a number"
    values = [float(item) for item in items]
    if not values:
        return "the list is empty"
    return values if all(map(math.isfinite, values)) else "the list holds a number that is too large"


def honest(problem: str) -> Plan:
    """A plan that runs nothing and says why."""
    return Plan((), lambda _: f"I ran nothing: {problem}.")


def trouble_in(outcomes: Sequence[Outcome]) -> str | None:
    """What went wrong in the last outcome, if anything did."""
    last = outcomes[-1]
    if not last.succeeded:
        return last.trouble
    problem = last.fields().get("error")
    return f"That did not work: {problem}" if problem else None


def mean_and_deviation(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Calculate the mean and standard deviation of [1, 2, 3]"."""
    if not re.search(r"\b(mean|average|standard deviation|std|median|variance)\b", conversation.prompt, re.I):
        return None
    values = numbers_in(conversation.prompt)
    if values is None:
        return None
    if isinstance(values, str):
        return honest(values)

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        got = outcomes[-1].fields()
        if "mean" not in got:
            return f"The program ran, but its output is not what I expected:\n\n{outcomes[-1].stdout[:2000]}"
        lines = [f"- {name}: {got[name]}" for name in ("count", "mean", "median", "minimum", "maximum") if name in got]
        lines.append(f"- standard deviation (population, divided by n): {got.get('population standard deviation')}")
        if "sample standard deviation" in got:
            lines.append(f"- standard deviation (sample, divided by n - 1): {got['sample standard deviation']}")
        else:
            lines.append("- standard deviation of a sample: not defined for a single value")
        return "The program's results:\n\n" + "\n".join(lines)

    numbers = [int(value) if value.is_integer() and abs(value) < 2**53 else value for value in values]
    say = f"I'll compute this for the {len(numbers)} given number{'s' if len(numbers) > 1 else ''} with Python."
    return Plan((toolbox.program(say, "mean_and_deviation", numbers=numbers),), report)


def versions(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Check the Python version and list installed packages"."""
    prompt = conversation.prompt
    if not re.search(r"python version|version of python|installed (python )?(packages|libraries)", prompt, re.I):
        return None

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        got = outcomes[-1].fields()
        packages = outcomes[-1].section("Installed")
        listed = "\n".join(f"- {line}" for line in packages)
        return (
            f"This container runs Python {got.get('Python', '(no version printed)')} on {got.get('System', '?')}. "
            f"{got.get('Packages', len(packages))} packages are installed:\n\n{listed}"
        )

    say = "I'll ask Python itself for its version and for every installed package."
    return Plan((toolbox.program(say, "versions"),), report)


def config_file(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Create a config.yaml file with database settings, then update the port from 5432 to 3306"."""
    prompt = conversation.prompt
    name = re.search(r"\b(?:create|write|make)\b.{0,60}?([\w./-]{1,100}\.ya?ml)\b", prompt, re.I | re.S)
    if name is None or not re.search(r"database|config", prompt, re.I):
        return None
    ports = re.search(r"port\b.{0,30}?(\d{1,5})\s*(?:to|->|with|by)\s*(\d{1,5})", prompt, re.I | re.S)
    old, new = (ports[1], ports[2]) if ports else ("5432", None)
    path = name[1]
    text = (
        "database:\n"
        "  host: localhost\n"
        f"  port: {old}\n"
        "  name: app\n"
        "  user: app\n"
        "  password_env: DATABASE_PASSWORD\n"
        "  pool_size: 10\n"
    )
    calls = [toolbox.create(f"I'll create {path} with database settings.", path, text)]
    if new:
        say = f"Now I'll change the port from {old} to {new}."
        calls.append(toolbox.replace(say, path, f"port: {old}", f"port: {new}"))
    calls.append(toolbox.view("Let me look at the result.", path))

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        shown = str(outcomes[-1].data.get("content", outcomes[-1].stdout))
        changed = f" with the port changed from {old} to {new}" if new and f"port: {new}" in shown else ""
        return f"{path} now exists in the container{changed}:\n\n```yaml\n{shown.rstrip()}\n```"

    return Plan(calls, report)


def _path_in(prompt: str) -> str | None:
    match = _PATH.search(prompt)
    return (match["quoted"] or match["bare"]) if match else None


def random_number(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Write a file with a random number and save it to '/tmp/number.txt'"."""
    prompt = conversation.prompt
    if not re.search(r"\b(write|create|save|generate|make)\b.{0,80}\brandom number\b", prompt, re.I | re.S):
        return None
    path = _path_in(prompt) or "/tmp/number.txt"  # noqa: S108 - a path in the container, the documents' example

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        got = outcomes[-1].fields()
        return f"I wrote the random number {got.get('number', '(not printed)')} to {got.get('file', path)}."

    say = f"I'll draw a random number and save it to {path}."
    return Plan((toolbox.program(say, "random_number", path=path),), report)


def square(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """ "Read the number from '/tmp/number.txt' and calculate its square"."""
    prompt = conversation.prompt
    wanted = re.search(r"\b(square root|square|cube)\b", prompt, re.I)
    path = _path_in(prompt)
    if wanted is None or path is None or not re.search(r"\b(read|load|take|open|get)\b", prompt, re.I):
        return None
    what = wanted[1].lower()
    exponent = {"square": 2, "cube": 3, "square root": 0.5}[what]

    def report(outcomes: Sequence[Outcome]) -> str:
        if problem := trouble_in(outcomes):
            return problem
        got = outcomes[-1].fields()
        if not {"number", "result"} <= got.keys():
            return f"The program ran, but its output is not what I expected:\n\n{outcomes[-1].stdout[:2000]}"
        return f"{path} holds {got['number']}, and its {what} is {got['result']}."

    say = f"I'll read {path} and compute the {what} of what it holds."
    return Plan((toolbox.program(say, "power_of_number", path=path, exponent=exponent),), report)
