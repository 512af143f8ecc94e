"""What is told of the configured models (WIRE k.1).

Capabilities say what bathysphere carries to such a backend, and what it provides itself: the configuration does not
say what the model behind it can do with it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bathysphere.models.catalogue import KnownModel, known
from bathysphere.models.configured import Choice, ConfiguredModels
from bathysphere.wire.models import (
    Capabilities,
    ContextManagement,
    Effort,
    ModelInfo,
    ServerTools,
    Support,
    Thinking,
    ThinkingTypes,
)

_UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YES: Final = Support(supported=True)
_NO: Final = Support(supported=False)


def listed(models: ConfiguredModels) -> list[ModelInfo]:
    """Every listed model, most recently released first; those of unknown age in the configuration's order."""
    found = [described(models, name) for name in models.names()]
    return sorted(found, key=lambda model: model.created_at, reverse=True)


def described(models: ConfiguredModels, name: str) -> ModelInfo:
    """What is told of a name, listed or not. Raises NotFound when no pattern takes it."""
    _, choice = models.choose(name)
    model = known(choice.model or name) if choice.of_anthropic else None
    capabilities = _capabilities(choice, model)
    if model is None:
        return ModelInfo(
            id=name,
            display_name=name if choice.backend != "demo" else "Demo model (no language model)",
            created_at=_UNKNOWN,
            lifecycle="active",
            capabilities=capabilities,
        )
    return ModelInfo(
        id=name,
        display_name=model.display_name,
        created_at=model.created_at or _UNKNOWN,
        lifecycle=model.lifecycle,
        line=model.line,
        retires_at=model.retires_at,
        max_input_tokens=model.max_input_tokens,
        max_tokens=model.max_tokens,
        capabilities=capabilities,
    )


def _support(supported: bool) -> Support:
    return _YES if supported else _NO


def _capabilities(choice: Choice, model: KnownModel | None) -> Capabilities:
    anthropic = choice.of_anthropic
    carried = _support(choice.backend != "demo")
    own = _support(anthropic)
    return Capabilities(
        batch=_YES,
        citations=own,
        code_execution=_support(model is None or model.calls_tools),
        context_management=ContextManagement(
            supported=False, clear_thinking_20251015=_NO, clear_tool_uses_20250919=_NO, compact_20260112=_NO
        ),
        effort=Effort(supported=carried.supported, low=carried, medium=carried, high=carried, xhigh=own, max=own),
        image_input=carried,
        pdf_input=carried,
        server_tools=ServerTools(supported=True, code_execution=_YES, web_search=_NO),
        structured_outputs=carried,
        thinking=Thinking(
            supported=carried.supported,
            types=ThinkingTypes(enabled=carried, disabled=_YES, adaptive=carried, between_tools=own),
        ),
    )
