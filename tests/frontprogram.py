"""A signer or a front end in a process of its own, for marked tests: `python frontprogram.py WHAT PORT OPTIONS`.

WHAT is `signer` or `front`. The log is that of `logstores.CloudWorld`, with the keys of `serverworld`; a front end has
none of them.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serverprogram import Server, free_port, wait_ready

if TYPE_CHECKING:
    from mingzheng.log.cloud import CloudPlace

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def started(what: str, place: "CloudPlace", root: Path, *, ready: bool = True, **options: Any) -> Iterator[Server]:
    """A process, ready where `ready`; ended at the end. Options: memory (a directory), take_over, queue, vkey."""
    port = free_port()
    stderr = root / f"{what}-{port}"
    given = {**options, "place": {"database": place.database, "schema": place.schema, "prefix": place.prefix}}
    given["place"]["endpoint"] = place.bucket.endpoint
    command = [sys.executable, "-W", "error", str(HERE / "frontprogram.py"), what, str(port), json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    with stderr.open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, env=environment)
    server = Server(port, process, stderr)
    try:
        if ready:
            wait_ready(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _place(given: Any) -> "CloudPlace":
    import cloudservers

    from mingzheng.log.cloud import CloudPlace
    from mingzheng.log.s3 import Bucket
    from mingzheng.log.sigv4 import Account

    account = Account(
        access_key=cloudservers.ACCESS_KEY, secret_key=cloudservers.SECRET_KEY, region=cloudservers.REGION
    )
    bucket = Bucket(endpoint=given["endpoint"], name="logs", account=account)
    return CloudPlace(database=given["database"], schema=given["schema"], bucket=bucket, prefix=given["prefix"])


def main() -> None:
    """Serve until told to stop."""
    from logworld import IDENTITY, NAME, Keys
    from serverworld import records

    from mingzheng.log.cloud import CloudLog
    from mingzheng.log.frontqueue import FrontLimits
    from mingzheng.log.servergate import GateLimits, Share
    from mingzheng.log.serverqueue import QueueLimits
    from mingzheng.log.serverrun import FeedPlan, FrontPlan, JsonLines, ServePlan, WritePlan, run
    from mingzheng.log.store import StoreFetcher
    from mingzheng.log.writer import Log

    what, port, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.getLogger("mingzheng").addHandler(handler)
    logging.getLogger("mingzheng").setLevel("INFO")
    place = _place(options["place"])
    submitters = {kid: replace(record, valid_from=0, valid_until=60_000) for kid, record in records().items()}
    keys = Keys()
    keys.of = {kid: replace(record, valid_from=0, valid_until=60_000) for kid, record in keys.of.items()}
    gate = GateLimits(key=Share(per_second=1e9, burst=1e9), address=None)
    vkey = IDENTITY.vkey_text()
    write: WritePlan | FrontPlan
    if what == "front":
        write = FrontPlan(
            connect=place.front,
            vkey=options.get("vkey", vkey),
            origin_number=7,
            origin_name=NAME,
            records=lambda: submitters.get,
            queue=FrontLimits(**options.get("queue", {})),
            gate=gate,
        )
    else:
        signing: list[CloudLog] = []

        def open_log() -> Log:
            log = CloudLog.open(
                place,
                IDENTITY,
                act_keys=keys,
                memory_dir=Path(options["memory"]),
                take_over=options.get("take_over", False) and not signing,
            )
            signing[:] = [log]
            return log

        feed = FeedPlan(connect=place.feed, epoch=lambda: signing[0].epoch if signing else None, vkey=vkey)
        write = WritePlan(
            open_log=open_log,
            origin_number=7,
            origin_name=NAME,
            records=lambda: submitters.get,
            queue=QueueLimits(**options.get("queue", {})),
            gate=gate,
            feed=feed,
        )
    files = StoreFetcher(place.store())
    run(ServePlan(fetcher=files, host="127.0.0.1", port=port, chinese=lambda _code: "（…）", write=write))


if __name__ == "__main__":
    main()
