"""Objects with conditional writes, against a store in memory that can lie: no conditions, lost answers, no ETag."""

from collections.abc import Iterator

import pytest
from logstores import Memory, MemoryState
from logworld import IDENTITY, NOW, Keys, issue, keyed

from mingzheng.log.objects import ObjectStore, UnconditionalStoreError
from mingzheng.log.refusal import DiskDisagreesError, FencedError, StorageError, WriterBrokenError
from mingzheng.log.s3 import Answer, Bucket, S3Client
from mingzheng.log.sigv4 import Account
from mingzheng.log.state import NOTHING_CARRIED
from mingzheng.log.store import CHECKPOINT, StoreFetcher
from mingzheng.log.tile import ENTRIES, Tile
from mingzheng.log.writer import Log

TILE = Tile(level=0, index=3, width=256)
BUNDLE = Tile(level=ENTRIES, index=3, width=7)


class FakeClient(S3Client):
    """Keys in a dictionary. `honest`: of the two conditions, which are kept; `etags`: whether answers carry one."""

    def __init__(self, *, honest: tuple[bool, bool] = (True, True), etags: bool = True) -> None:
        account = Account(access_key="a", secret_key="s", region="r")
        super().__init__(Bucket(endpoint="https://s3.example", name="b", account=account))
        self.honest, self.etags = honest, etags
        self.there: dict[str, tuple[bytes, int]] = {}
        self.version = 0
        self.lost_answers = 0

    def get(self, key: str) -> Answer | None:
        if key not in self.there:
            return None
        body, version = self.there[key]
        return Answer(status=200, etag=f'"{version}"', body=body)

    def put(self, key: str, body: bytes, *, if_match: str | None) -> Answer | None:
        again = self.lost_answers > 0  # the first effect is there, the client tries again and sees it
        for _attempt in range(2 if again else 1):
            found = self.get(key)
            if if_match is None and found is not None and self.honest[0]:
                return None
            if if_match is not None and (found is None or found.etag != if_match) and self.honest[1]:
                return None
            self.version += 1
            self.there[key] = (body, self.version)
        self.lost_answers = 0
        return Answer(status=200, etag=f'"{self.version}"' if self.etags else "", body=b"")

    def delete(self, key: str) -> None:
        self.there.pop(key, None)

    def names(self, prefix: str, *, most: int = 1_000) -> Iterator[str]:
        yield from sorted(key for key in self.there if key.startswith(prefix))


def test_files_are_put_once_and_never_change() -> None:
    client = FakeClient()
    store = ObjectStore(client, "log/")
    assert store.is_empty()
    store.write([(TILE, b"tile"), (BUNDLE, b"bundle")])
    store.write([(TILE, b"tile")])
    assert not store.is_empty()
    assert sorted(client.there) == ["log/tile/0/003", "log/tile/entries/003.p/7"]
    assert list(store.names()) == ["tile/0/003", "tile/entries/003.p/7"]
    assert store.read(BUNDLE) == b"bundle"
    for files in ([(TILE, b"other")], [(TILE, b"tile"), (BUNDLE, b"other")]):
        with pytest.raises(DiskDisagreesError, match="never change"):
            store.write(files)
    with pytest.raises(DiskDisagreesError, match="missing"):
        store.fetch("tile/0/004")
    store.remove_partials(Tile(level=ENTRIES, index=3, width=256))
    assert list(store.names()) == ["tile/0/003"]
    store.close()
    store.close()


@pytest.mark.parametrize("etags", [True, False])
def test_the_checkpoint_is_replaced_only_if_it_is_the_one_last_read(etags: bool) -> None:
    client = FakeClient(etags=etags)
    mine, other = ObjectStore(client, ""), ObjectStore(client, "")
    assert mine.read_checkpoint() is None
    mine.publish_checkpoint(b"one")
    mine.publish_checkpoint(b"two")
    other.prepare()
    other.publish_checkpoint(b"three")
    for _ in range(2):
        with pytest.raises(FencedError):
            mine.publish_checkpoint(b"four")
    assert client.there[CHECKPOINT][0] == b"three"
    assert mine.read_checkpoint() == b"three"
    mine.publish_checkpoint(b"four")


def test_looking_at_anothers_checkpoint_gives_no_right_to_replace_it() -> None:
    client = FakeClient()
    mine, other = ObjectStore(client, ""), ObjectStore(client, "")
    mine.publish_checkpoint(b"one")
    assert other.read_checkpoint() == b"one"
    other.publish_checkpoint(b"two")
    assert StoreFetcher(mine).fetch(CHECKPOINT) == b"two"
    mine.prepare()
    with pytest.raises(FencedError):
        mine.publish_checkpoint(b"fork")
    assert client.there[CHECKPOINT][0] == b"two"


@pytest.mark.parametrize("looks", [False, True])
def test_two_databases_of_one_log_never_publish_a_fork(looks: bool) -> None:
    """A standby was promoted while the old server lives on: the objects alone are left to say who signs."""
    client, left = FakeClient(), Memory()

    def log_of(there: Memory) -> Log:
        return Log(ObjectStore(client, ""), MemoryState(there), IDENTITY, act_keys=Keys(), memory=None)

    first = log_of(left)
    first.begin(NOTHING_CARRIED)
    first.submit(keyed([issue(0)]), now=NOW)
    assert left.rows is not None
    second = log_of(Memory(rows=left.rows.clone()))
    second.resume()
    first.submit(keyed([issue(1)]), now=NOW)
    published = client.there[CHECKPOINT][0]
    if looks:
        assert second.reader().refresh().size == 4
    with pytest.raises(FencedError):
        second.submit(keyed([issue(serial) for serial in range(2, 9)]), now=NOW + 1)
    assert client.there[CHECKPOINT][0] == published
    for ask in (lambda: second.compact_receipt(0), lambda: second.submit(keyed([issue(1)]), now=NOW + 1)):
        with pytest.raises(WriterBrokenError):
            ask()
    for log in (first, second):
        log.close()


def test_opening_never_puts_an_older_checkpoint_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other signer publishes between the check of what is published and the roll-forward."""
    client, left = FakeClient(), Memory()

    def log_of(there: Memory) -> Log:
        return Log(ObjectStore(client, ""), MemoryState(there), IDENTITY, act_keys=Keys(), memory=None)

    first = log_of(left)
    first.begin(NOTHING_CARRIED)
    first.submit(keyed([issue(0)]), now=NOW)
    assert left.rows is not None
    second = log_of(Memory(rows=left.rows.clone()))
    prepare = ObjectStore.prepare

    def late(store: ObjectStore) -> None:
        monkeypatch.setattr(ObjectStore, "prepare", prepare)
        first.submit(keyed([issue(1)]), now=NOW)
        prepare(store)

    monkeypatch.setattr(ObjectStore, "prepare", late)
    with pytest.raises(StorageError):
        second.resume()
    assert client.there[CHECKPOINT][0] == first.checkpoint()
    first.close()


def test_a_first_checkpoint_beside_anothers_is_refused() -> None:
    client = FakeClient()
    mine, other = ObjectStore(client, ""), ObjectStore(client, "")
    assert mine.read_checkpoint() is None
    other.publish_checkpoint(b"other")
    with pytest.raises(FencedError):
        mine.publish_checkpoint(b"mine")


def test_an_answer_that_was_lost_is_recognised_as_our_own_effect() -> None:
    client = FakeClient()
    store = ObjectStore(client, "")
    client.lost_answers = 1
    store.write([(TILE, b"tile")])
    client.lost_answers = 1
    store.publish_checkpoint(b"one")
    client.lost_answers = 1
    store.publish_checkpoint(b"two")
    client.lost_answers = 0
    store.publish_checkpoint(b"three")
    assert client.there[CHECKPOINT][0] == b"three"


@pytest.mark.parametrize("honest", [(False, True), (True, False), (False, False)])
def test_a_store_that_ignores_conditions_is_refused(honest: tuple[bool, bool]) -> None:
    client = FakeClient(honest=honest)
    with pytest.raises(UnconditionalStoreError):
        ObjectStore(client, "").publish_checkpoint(b"note")
    with pytest.raises(UnconditionalStoreError):
        ObjectStore(client, "").prepare()
    assert client.there[CHECKPOINT][0] == b"note"
