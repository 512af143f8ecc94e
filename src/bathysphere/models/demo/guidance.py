"""What the demo model says about itself."""

from __future__ import annotations

NOTICE = (
    "I am bathysphere's demo model: no language model, only a small fixed repertoire, "
    "but every command below really runs in your sandbox."
)

_REPERTOIRE = """\
I can:

- run the fenced code blocks of your message (```bash or ```python), one after another, and show their output;
- let that Python call your own tools, where code_execution_20260120 is declared and they allow it;
- "Calculate the mean and standard deviation of [1, 2, 3, 4, 5]";
- "Check the Python version and list installed packages";
- "Create a config.yaml file with database settings, then update the port from 5432 to 3306";
- "Analyze this CSV data" with an uploaded CSV file, also with charts, a summary report and a README;
- "Create a matplotlib visualization and save it as output.png";
- "Write a file with a random number and save it to '/tmp/number.txt'", \
and then "Read the number from '/tmp/number.txt' and calculate its square"."""

_CONNECT = """\
For everything else, connect a real model. Either set one of these before `bathysphere serve`:

    export ANTHROPIC_API_KEY=...                        # Anthropic's models
    export OPENAI_BASE_URL=http://127.0.0.1:11434/v1    # Ollama, llama.cpp, vLLM, LM Studio, OpenAI ...

or write a bathysphere.toml and start with `bathysphere serve --config bathysphere.toml`:

    [[models]]
    match = "claude-*"
    backend = "anthropic"
    api_key_env = "ANTHROPIC_API_KEY"

    [[models]]
    match = "*"
    backend = "openai"
    base_url = "http://127.0.0.1:11434/v1"
    model = "qwen3:8b"

`bathysphere models` shows what each model name would reach, and why."""


def guidance(*, can_run: bool, forbidden: bool) -> str:
    """The answer to a prompt that is not in the repertoire, or that cannot be served without tools."""
    if forbidden:
        opening = 'This request forbids tool calls (tool_choice "none"), and without tools I can do nothing else.'
    elif not can_run:
        opening = (
            "This request declares no code execution tool, and without it I can do nothing. Add it with "
            '"tools": [{"type": "code_execution_20250825", "name": "code_execution"}].'
        )
    else:
        opening = "I did not recognise this prompt, so nothing was run."
    return f"{opening}\n\n{_REPERTOIRE}\n\n{_CONNECT}"
