"""Witnesses on loopback, each in a thread of this process: for what speaks HTTP to them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from witnessworld import cosigner

from mingzheng.keys.alg import Alg
from mingzheng.keys.vkey import VerifierKey, format_vkey
from mingzheng.log.witnessnode import WitnessNode
from mingzheng.log.witnessstore import WitnessStore


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = self.server.witness
        if found.down:
            self.close_connection = True
            return
        answer = found.node.handle("POST", self.path, body, now=found.now)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    witness: "LoopbackWitness"


class LoopbackWitness:
    """One witness behind http://127.0.0.1; `down` lets it hang up without an answer."""

    def __init__(self, directory: Path, name: str, alg: Alg, *, now: int) -> None:
        self.name, self.now, self.down = name, now, False
        self.cosigner = cosigner(name, alg)
        directory.mkdir()
        self.store = WitnessStore.create(directory, name=self.cosigner.name, vkeys=self.cosigner.vkeys)
        self.node = WitnessNode(self.store, self.cosigner)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.witness = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def watch(self, vkey: VerifierKey) -> None:
        """Witness the log of that key."""
        self.store.add_log(vkey, origin=vkey.name)

    def policy_line(self) -> str:
        """How a policy names it."""
        return (
            f"witness {self.name} {format_vkey(self.cosigner.vkeys[0])} http://127.0.0.1:{self._server.server_port}\n"
        )

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.store.close()
