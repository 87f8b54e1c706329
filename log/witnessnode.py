"""A running witness: requests in, answers out, over its memory and its keys. The HTTP face is `log.witnessserver`."""

import logging
import re
from typing import Final

from mingzheng.keys.errors import NoteSignerError
from mingzheng.log.cosign import Cosigner
from mingzheng.log.witness import (
    MAX_REQUEST_BYTES,
    TEXT,
    Answer,
    decide_checkpoint,
    decide_subtree,
    parse_add_checkpoint,
    parse_sign_subtree,
    refuse,
)
from mingzheng.log.witnessstore import WitnessStore

_MONITOR: Final = re.compile("/([0-9a-f]{64})/checkpoint")

_logger = logging.getLogger(__name__)


class WitnessNode:
    """Answers tlog-witness requests. Raises NoteSignerError for keys that are not those of the store."""

    def __init__(self, store: WitnessStore, cosigner: Cosigner) -> None:
        if (store.name, store.vkeys) != (cosigner.name, cosigner.vkeys):
            raise NoteSignerError("these are not the keys of this witness")
        self._store, self._cosigner = store, cosigner

    def handle(self, method: str, path: str, body: bytes, *, now: int) -> Answer:
        """The answer to one request; `now` in unix seconds. What a cosignature rests on is durable on return."""
        if len(body) > MAX_REQUEST_BYTES:
            return refuse(413, f"over {MAX_REQUEST_BYTES} bytes")
        match (method, path):
            case ("POST", "/add-checkpoint"):
                return self._add_checkpoint(body, now)
            case ("POST", "/sign-subtree"):
                return self._sign_subtree(body)
            case (_, "/add-checkpoint" | "/sign-subtree"):
                return refuse(405, "POST")
            case ("GET", _):
                return self._monitor(path)
        return refuse(404, "not here")

    def _add_checkpoint(self, body: bytes, now: int) -> Answer:
        request = parse_add_checkpoint(body)
        if isinstance(request, Answer):
            return request
        vkeys = self._store.log_vkeys(request.origin)
        if not vkeys:
            return refuse(404, "unknown log")
        answer = self._store.update(
            request.origin,
            lambda seen: decide_checkpoint(request, log_vkeys=vkeys, seen=seen, cosigner=self._cosigner, time=now),
        )
        if answer.status == 422:  # signed by the log, and no continuation: it may be proof of a fork
            _logger.warning("refused origin=%r old=%d status=%d", request.origin, request.old, answer.status)
        return answer

    def _sign_subtree(self, body: bytes) -> Answer:
        request = parse_sign_subtree(body)
        if isinstance(request, Answer):
            return request
        known = bool(self._store.log_vkeys(request.origin))
        return decide_subtree(request, known=known, cosigner=self._cosigner)

    def _monitor(self, path: str) -> Answer:
        found = _MONITOR.fullmatch(path)
        seen = None if found is None else self._store.seen_by_hash(found[1])
        if seen is None:
            return refuse(404, "no checkpoint here")
        return Answer(status=200, content_type=TEXT, body=seen.note)
