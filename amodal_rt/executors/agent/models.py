"""Model providers, made from the workspace's files and kept between runs."""

import hashlib
import importlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from pydantic_ai.models import Model

from amodal_rt.domain.models import BASE_URLS, KEYS, ModelChoice
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.workspace import ProviderType
from amodal_rt.errors import UnavailableError
from amodal_rt.settings import Environment

RETRIES = 4
"""How often a request that failed in passing (429, 5xx, no connection) is sent again, with the
provider library's own backoff: some eight seconds. The run's deadline bounds it as well."""

ANSWER_BYTES = 16 * 1_048_576
"""How much of one answer is read from a provider."""

SHORT_SECONDS = 5.0
"""For how long a provider may send a request away that is tried again within the run's slot."""

_KEPT = 64
_OLLAMA = "http://127.0.0.1:11434/v1"
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Access:
    """Where and with what key. Never logged or stored."""

    base_url: str | None
    api_key: str | None


class ModelShelf:
    """Models by provider, name, address and key. Only the providers asked for are imported."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._http: httpx2.AsyncClient | None = None

    def find(
        self, choices: Sequence[ModelChoice], environment: Environment
    ) -> list[tuple[str, Model]]:
        """The models of `choices`, in order, with their references.

        Only the last is tried again when it fails in passing: another one waits behind the
        others. Raises UnavailableError (`model_key_missing`) when a key is not set.
        """
        last = len(choices) - 1
        return [
            (choice.reference, self._get(choice, environment, RETRIES if place == last else 0))
            for place, choice in enumerate(choices)
        ]

    async def close(self) -> None:
        """Close every connection."""
        self._models.clear()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _get(self, choice: ModelChoice, environment: Environment, retries: int) -> Model:
        access = _access(choice, environment)
        parts = (choice.provider.type, choice.name, access.base_url, access.api_key, retries)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()
        model = self._models.get(key)
        if model is None:
            model = self._build(choice, access, retries)
            self._models[key] = model
            if len(self._models) > _KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return model

    def _build(self, choice: ModelChoice, access: _Access, retries: int) -> Model:
        if self._http is None:
            # One client for all: making one reads the certificate store, and each keeps its
            # own connections.
            self._http = httpx2.AsyncClient(
                timeout=httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
                event_hooks={"response": [_bound]},
            )
        kind = choice.provider.type
        if kind is ProviderType.ANTHROPIC:
            return _anthropic(choice.name, access, retries, self._http)
        if kind is ProviderType.GOOGLE:
            return _google(choice.name, access, retries, self._http)
        return _openai(choice, access, retries, self._http)


_OPENAI = ("pydantic_ai.models.openai", "pydantic_ai.providers.ollama")
_LIBRARIES: Mapping[ProviderType, tuple[str, ...]] = {
    ProviderType.ANTHROPIC: ("pydantic_ai.models.anthropic",),
    ProviderType.GOOGLE: ("pydantic_ai.models.google",),
}


def import_library(kind: ProviderType) -> None:
    """Load what models of this kind need. Takes up to seconds: never on the event loop."""
    for name in _LIBRARIES.get(kind, _OPENAI):
        importlib.import_module(name)


def _openai(choice: ModelChoice, access: _Access, retries: int, http: httpx2.AsyncClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.ollama import OllamaProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(
        # The library wants a key even where the server does not.
        api_key=access.api_key or "none",
        base_url=access.base_url or "https://api.openai.com/v1",
        max_retries=retries,
        http_client=http,
    )
    if choice.provider.type is ProviderType.OLLAMA:
        return OpenAIChatModel(choice.name, provider=OllamaProvider(openai_client=client))
    return OpenAIChatModel(choice.name, provider=OpenAIProvider(openai_client=client))


def _anthropic(name: str, access: _Access, retries: int, http: httpx2.AsyncClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(
        api_key=access.api_key,
        base_url=access.base_url or "https://api.anthropic.com",
        max_retries=retries,
        http_client=http,
    )
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))


def _google(name: str, access: _Access, retries: int, http: httpx2.AsyncClient) -> Model:
    from google.genai.types import HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(
        api_key=access.api_key,
        base_url=access.base_url,
        http_client=http,
        retry_options=HttpRetryOptions(attempts=retries + 1, initial_delay=0.5, max_delay=8.0),
    )
    return GoogleModel(name, provider=provider)


def _access(choice: ModelChoice, environment: Environment) -> _Access:
    provider = choice.provider
    base_url = _value(provider.base_url, environment)
    if base_url is None and provider.type in BASE_URLS:
        base_url = environment.find(BASE_URLS[provider.type])
    if provider.type is ProviderType.OLLAMA:
        base_url = _with_version(base_url or _OLLAMA)
    key = _value(provider.api_key, environment)
    if key is None:
        names = KEYS.get(provider.type, ())
        key = next(filter(None, (environment.find(name) for name in names)), None)
        if names and key is None:
            raise UnavailableError(
                f"the model {choice.reference} needs {' or '.join(names)}, which is not set",
                code="model_key_missing",
            )
    return _Access(base_url, key)


def _with_version(url: str) -> str:
    """Ollama's variable is in use with and without the `/v1` of its Chat Completions."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1"


def _value(text: Text | None, environment: Environment) -> str | None:
    return environment.get(text.name) if isinstance(text, SecretRef) else text


async def _bound(response: httpx2.Response) -> None:
    """A client's response hook: reading more than `ANSWER_BYTES` of it is an `httpx2.ReadError`,
    and whom a provider sends away for longer than `SHORT_SECONDS` does not wait in its slot."""
    if response.status_code in {429, 529} and _is_long(response.headers.get("retry-after")):
        # What the libraries of OpenAI and Anthropic obey.
        response.headers["x-should-retry"] = "false"
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def _is_long(retry_after: str | None) -> bool:
    try:
        return retry_after is not None and float(retry_after) > SHORT_SECONDS
    except ValueError:
        # A date, which has no fractions of a second to be short in.
        return True


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = ANSWER_BYTES
        async for chunk in self._stream:
            room -= len(chunk)
            if room < 0:
                raise httpx2.ReadError(f"the answer is longer than {ANSWER_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
