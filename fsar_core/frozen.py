"""The base of every configuration: frozen, strict, and with one canonical JSON form from which ids are made."""

import hashlib
import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import to_jsonable_python


class Frozen(BaseModel):
    """A value that never changes. Unknown keys, wrong types, NaN and infinities are refused with their path."""

    __slots__ = ("_canonical",)  # outside of the fields: a changed copy does not inherit it

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that came when runs had been recorded already. They are written only where they are not the default, so
    that those runs keep their ids."""

    def canonical_json(self) -> str:
        """All fields, defaults included but those of ``later``, keys sorted, no white space: equal values give equal
        text on every machine."""
        return self.remembered("_canonical", self._written)

    def remembered(self, slot: str, made: Callable[[], str]) -> str:
        """What ``made`` gives, kept in a slot of this object: it never changes."""
        try:
            return object.__getattribute__(self, slot)
        except AttributeError:
            text = made()
            object.__setattr__(self, slot, text)
            return text

    def _written(self) -> str:
        """As JSON of ``model_dump`` would be, but put together from what its parts know already."""
        fields, own, later = type(self).model_fields, self.__dict__, self.later
        names = (name for name in sorted(fields) if name not in later or own[name] != fields[name].default)
        parts = [f'"{name}":{_text(own[name])}' for name in names]
        return f"{{{','.join(parts)}}}"

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = written(self)
        for name in self.later & content.keys():
            if getattr(self, name) == type(self).model_fields[name].default:
                del content[name]
        return content


def _text(value: object) -> str:
    """Canonical JSON of a field."""
    if isinstance(value, Frozen):
        return value.canonical_json()
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, tuple):
        return f"[{','.join(map(_text, cast(tuple[object, ...], value)))}]"
    if type(value) in (int, float):
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(to_jsonable_python(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(*texts: str) -> str:
    """16 hexadecimal digits that name the texts, in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
