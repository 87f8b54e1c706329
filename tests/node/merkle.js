// Inclusion proofs of our logs checked by @sigstore/verify's Merkle code. In: a line of JSON a proof
// {index, size, root, entry, hashes}, bytes in hex. Out: "ok" or the error's code, a line each.
const path = require("path");
const modules = process.argv[2];
const { verifyMerkleInclusion } = require(path.join(modules, "@sigstore/verify/dist/tlog/merkle.js"));

const hex = (text) => Buffer.from(text, "hex");
for (const line of require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const proof = JSON.parse(line);
  try {
    verifyMerkleInclusion(
      {
        canonicalizedBody: hex(proof.entry),
        inclusionProof: { logIndex: String(proof.index), hashes: proof.hashes.map(hex) },
      },
      { logSize: BigInt(proof.size), logHash: hex(proof.root) },
    );
    console.log("ok");
  } catch (error) {
    console.log(error.code || String(error));
  }
}
