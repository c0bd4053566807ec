"""Checks proofs and checkpoints of a log with implementations that are not Gridkeeper's: pymerkle for the tree,
cryptography for the signature. Reads a JSON document: the events in hexadecimal, and what intake answered."""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree


def check(condition, what):
    if not condition:
        sys.exit(f"wrong: {what}")


def opened(note, verifier_key):
    """The size and root of a signed checkpoint (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""
    name, key_id, key = verifier_key.strip().split("+", 2)
    key = base64.b64decode(key)
    check(key[0] == 1, "the key is of Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    check(expected.hex() == key_id, "the id of the key")
    text, signatures = note.split("\n\n", 1)
    text += "\n"
    dash, signer, signature = signatures.strip().split(" ")
    check((dash, signer) == ("\u2014", name), "the signer")
    signature = base64.b64decode(signature)
    check(signature[:4] == expected, "the id of the key in the signature")
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode())
    origin, size, root = text.split("\n")[:3]
    check(origin == name, "the origin")
    return int(size), base64.b64decode(root).hex()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def consistent(before, to, proof):
    """The two roots that a consistency proof leads to (RFC 9162, section 2.1.4.2), from pymerkle's earlier root."""
    path = [bytes.fromhex(text) for text in proof]
    if before == to:
        return (roots_of[before], roots_of[to])
    if before & (before - 1) == 0:
        path.insert(0, bytes.fromhex(roots_of[before]))
    first, second = before - 1, to - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = path[0]
    for step in path[1:]:
        if second == 0:
            return None
        if first & 1 or first == second:
            old, new = node(step, old), node(step, new)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            new = node(new, step)
        first, second = first >> 1, second >> 1
    return (old.hex(), new.hex()) if second == 0 else None


roots_of = {}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    tree = InmemoryTree(algorithm="sha256")
    roots = {0: hashlib.sha256(b"").hexdigest()}
    for number, event in enumerate(given["events"], 1):
        tree.append_entry(bytes.fromhex(event))
        roots[number] = tree.get_root(number).hex()
    roots_of.update(roots)
    checkpoints = [opened(note, given["key"]) for note in given["checkpoints"]]
    for size, root in checkpoints:
        check(roots[size] == root, f"the root at {size}")
    for proof in given["inclusions"]:
        position, to = proof["position"], proof["to"]
        event = bytes.fromhex(given["events"][position - 1])
        check(hashlib.sha256(b"\0" + event).hexdigest() == proof["leaf_hash"], f"leaf {position}")
        check(proof["root"] == roots[to], f"the root at {to}")
        own = tree.prove_inclusion(position, to).serialize()["path"]
        check(sorted(own) == sorted([proof["leaf_hash"], *proof["proof"]]), f"inclusion {position}")
    for proof in given["consistencies"]:
        before, to = proof["from"], proof["to"]
        check(proof["root"] == roots[to], f"the root at {to}")
        check(proof["from_root"] == roots[before], f"the root at {before}")
        check(
            consistent(before, to, proof["proof"]) == (roots[before], roots[to]),
            f"consistency {before} to {to}",
        )
    print(len(given["events"]), len(checkpoints), len(given["inclusions"]), len(given["consistencies"]))


main()
