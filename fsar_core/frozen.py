"""The base of every configuration: frozen, strict, and with one canonical JSON form from which ids are made."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value that never changes. Unknown keys, wrong types, NaN and infinities are refused with their path."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def canonical_json(self) -> str:
        """All fields, defaults included, keys sorted, no white space: equal values give equal text on every machine."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(*texts: str) -> str:
    """16 hexadecimal digits that name the texts, in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
