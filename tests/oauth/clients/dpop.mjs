// oauth4webapi: bound tokens from end to end (RFC 9449), with nonces of the server.
import assert from 'node:assert/strict'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, SERVICE_ID, SERVICE_SECRET } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const as = await oauth.processDiscoveryResponse(issuer, found)
const client = { client_id: CLIENT_ID }
const proof = oauth.ClientSecretBasic(CLIENT_SECRET)

// As the library's own examples do: once more with the nonce that was asked for.
async function twice(act) {
  try {
    return { asked: false, value: await act() }
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return { asked: true, value: await act() }
  }
}

for (const alg of ['ES256', 'Ed25519', 'PS256']) {
  assert.ok(as.dpop_signing_alg_values_supported.includes(alg))
  const keys = await oauth.generateKeyPair(alg, { extractable: true })
  const DPoP = oauth.DPoP(client, keys)
  const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(keys.publicKey))
  const granted = await twice(async () => {
    const asked = await oauth.clientCredentialsGrantRequest(as, client, proof, {}, { DPoP, ...insecure })
    return oauth.processClientCredentialsResponse(as, client, asked)
  })
  assert.ok(granted.asked)
  assert.equal(granted.value.token_type, 'dpop')
  const token = granted.value.access_token
  assert.equal(jose.decodeJwt(token).cnf.jkt, thumbprint)

  for (const path of ['/bound/a', '/bound/b?c=d']) {
    const reply = await twice(() =>
      oauth.protectedResourceRequest(token, 'GET', new URL(path, ISSUER), undefined, undefined, { DPoP, ...insecure }))
    assert.equal(reply.value.status, 200)
  }

  // A resource server by the library's rules holds the same of token and proof.
  const request = new Request(`${ISSUER}/bound/c`)
  const sent = new Headers()
  const grab = { [oauth.customFetch]: async (url, options) => {
    for (const [name, value] of Object.entries(options.headers)) sent.set(name, value)
    return new Response()
  } }
  await oauth.protectedResourceRequest(token, 'GET', new URL(request.url), undefined, undefined, { DPoP, ...insecure, ...grab })
  const said = await oauth.validateJwtAccessToken(as, new Request(request.url, { headers: sent }), ISSUER, { requireDPoP: true, ...insecure })
  assert.equal(said.cnf.jkt, thumbprint)

  const service = { client_id: SERVICE_ID }
  const told = await oauth.introspectionRequest(as, service, oauth.ClientSecretPost(SERVICE_SECRET), token, insecure)
  const state = await oauth.processIntrospectionResponse(as, service, told)
  assert.equal(state.cnf.jkt, thumbprint)

  const bearer = await fetch(`${ISSUER}/bound/d`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(bearer.status, 401)
  assert.ok(bearer.headers.get('www-authenticate').startsWith('DPoP error="invalid_token"'))
}
