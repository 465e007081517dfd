// Uses a gateway as the libraries `jose` and `oauth4webapi` understand RFC 9449.
import assert from 'node:assert/strict'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

const { GATEWAY, SECRET, SUBJECT } = process.env
const client = { client_id: 'tests' }
const insecure = { [oauth.allowInsecureRequests]: true }

async function bound(thumbprint) {
  return new jose.SignJWT({ username: 'x', roles: ['USER'], cnf: { jkt: thumbprint } })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('tmws-auth-service')
    .setAudience('tmws-api')
    .setSubject(SUBJECT)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(SECRET))
}

async function asked(path, token, DPoP) {
  try {
    const url = new URL(path, GATEWAY)
    const reply = await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, { DPoP, ...insecure })
    return { status: reply.status }
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError) return { status: error.status, challenge: error.cause[0] }
    throw error
  }
}

for (const alg of ['ES256', 'EdDSA', 'PS256']) {
  const pair = alg === 'EdDSA'
    ? await jose.generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    : await jose.generateKeyPair(alg, { extractable: true })
  const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(pair.publicKey))
  const token = await bound(thumbprint)
  const handle = oauth.DPoP(client, pair)
  assert.equal((await asked('/dpop/a?b=c', token, handle)).status, 200, alg)

  // A token of another key.
  const stolen = await bound(await jose.calculateJwkThumbprint(
    await jose.exportJWK((await jose.generateKeyPair('ES256', { extractable: true })).publicKey)))
  const refused = await asked('/dpop/b', stolen, handle)
  assert.equal(refused.status, 401)
  assert.equal(refused.challenge.scheme, 'dpop')
  assert.equal(refused.challenge.parameters.error, 'invalid_dpop_proof')
  assert.ok(refused.challenge.parameters.algs.split(' ').includes(alg))

  // Without a proof.
  assert.equal((await asked('/dpop/c', token, undefined)).status, 401)
}
