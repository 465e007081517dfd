// jose's verdict on each token of standard input, one character each.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { importJWK, jwtVerify } = await import(pathToFileURL(process.argv[2]).href);
let keys;
let out = '';
for await (const line of createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  if (!keys) {
    keys = {};
    for (const [alg, jwk] of Object.entries(given)) keys[alg] = await importJWK(jwk, alg);
    continue;
  }
  const { token, alg } = given;
  try {
    await jwtVerify(token, keys[alg], { algorithms: [alg], audience: 'audience', issuer: 'issuer', requiredClaims: ['exp'] });
    out += '1';
  } catch {
    out += '0';
  }
}
console.log(out);
