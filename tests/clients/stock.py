"""redis-py, plain and RedisCluster, unchanged, against a Kvorum cluster: stock.py PORT PORT PORT"""

import sys
import warnings

import redis
from redis.cluster import ClusterNode, RedisCluster

warnings.simplefilter("error")
ports = [int(port) for port in sys.argv[1:]]


def plain(protocol):
    client = redis.Redis(port=ports[0], protocol=protocol)
    assert client.ping()
    assert client.set("py:a", "1")
    assert client.get("py:a") == b"1"
    assert client.set("py:b", "2", ex=100) and 90 < client.ttl("py:b") <= 100
    assert client.persist("py:b") == 1 and client.ttl("py:b") == -1
    assert client.mset({"py:c": "3", "py:d": "4"})
    assert client.mget("py:c", "py:d", "py:none") == [b"3", b"4", None]
    assert client.delete("py:c", "py:none") == 1
    assert client.exists("py:a", "py:c") == 1
    assert client.strlen("py:a") == 1 and client.type("py:a") == b"string"
    assert client.getex("py:a", px=60000) == b"1" and client.pttl("py:a") > 50000
    assert set(client.scan_iter("py:*", count=20)) == {b"py:a", b"py:b", b"py:d"}
    # A second node sees what the first has acknowledged.
    other = redis.Redis(port=ports[-1], protocol=protocol)
    assert other.get("py:d") == b"4"
    pipe = client.pipeline(transaction=False)
    replies = pipe.set("py:e", "5").get("py:e").delete("py:e").get("py:e").execute()
    assert replies == [True, b"5", 1, None]
    for refused in (lambda: client.incr("py:n"), lambda: client.set("py:n", "1", nx=True), lambda: client.getdel("py:a")):
        try:
            refused()
            raise SystemExit("a command that must read and decide was not refused")
        except redis.ResponseError as error:
            assert "NOAPSAFE" in str(error), error
    assert client.info()["redis_mode"] == "cluster"
    assert client.config_get("maxmemory-policy") is not None
    assert client.client_id() > 0
    client.delete("py:a", "py:b", "py:d")


def cluster():
    client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", ports[0])])
    moved = []
    original = redis.exceptions.MovedError.__init__

    def noticed(self, *args, **kwargs):
        moved.append(args)
        original(self, *args, **kwargs)

    redis.exceptions.MovedError.__init__ = noticed
    for i in range(300):
        assert client.set(f"pyc:{i}", str(i))
    for i in range(300):
        assert client.get(f"pyc:{i}") == str(i).encode()
    # Not get_primaries(): redis-py takes a node that comes second for any slot for a replica there, and routes well
    # nevertheless.
    routed = {client.get_node_from_key(f"pyc:{i}").port for i in range(300)}
    assert routed == set(ports), routed
    assert not moved, f"MOVED was needed: {moved[:3]}"


for check in (lambda: plain(2), lambda: plain(3), cluster):
    check()
print("redis-py: ok")
