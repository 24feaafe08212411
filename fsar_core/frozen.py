"""The base of every configuration: frozen, strict, and with one canonical JSON form from which ids are made."""

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Frozen(BaseModel):
    """A value that never changes. Unknown keys, wrong types, NaN and infinities are refused with their path."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that came when runs had been recorded already. They are written only where they are not the default, so
    that those runs keep their ids."""

    def canonical_json(self) -> str:
        """All fields, defaults included but those of ``later``, keys sorted, no white space: equal values give equal
        text on every machine."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = written(self)
        for name in self.later & content.keys():
            if getattr(self, name) == type(self).model_fields[name].default:
                del content[name]
        return content


def content_id(*texts: str) -> str:
    """16 hexadecimal digits that name the texts, in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
