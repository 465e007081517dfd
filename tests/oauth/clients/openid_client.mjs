// openid-client (panva): discovery, code flow, refresh, client_credentials, introspection, exchange, revocation.
import assert from 'node:assert/strict'
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, SERVICE_ID, SERVICE_SECRET, LOGIN } = process.env
const discover = (id, proof) =>
  client.discovery(new URL(ISSUER), id, undefined, proof, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })

const own = await discover(CLIENT_ID, client.ClientSecretBasic(CLIENT_SECRET))
assert.equal(own.serverMetadata().issuer, ISSUER)
const posted = await discover(CLIENT_ID, client.ClientSecretPost(CLIENT_SECRET))
const service = await discover(SERVICE_ID, client.ClientSecretBasic(SERVICE_SECRET))

for (const config of [own, posted]) {
  const granted = await client.clientCredentialsGrant(config, { scope: 'READ' })
  assert.equal(granted.token_type, 'bearer')
  assert.equal(granted.scope, 'READ')
  assert.equal((await client.tokenIntrospection(service, granted.access_token)).active, true)
  await client.tokenRevocation(config, granted.access_token)
  assert.equal((await client.tokenIntrospection(service, granted.access_token)).active, false)
}

const narrower = await client.genericGrantRequest(
  own,
  'urn:ietf:params:oauth:grant-type:token-exchange',
  {
    subject_token: LOGIN,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    scope: 'READ',
  },
)
const about = await client.tokenIntrospection(service, narrower.access_token)
assert.equal(about.active, true)
assert.equal(about.scope, 'READ')
assert.equal(about.act.sub, CLIENT_ID)

await assert.rejects(client.clientCredentialsGrant(own, { scope: 'ADMIN' }), { error: 'invalid_scope' })
const wrong = await discover(CLIENT_ID, client.ClientSecretBasic('wrong'))
await assert.rejects(client.clientCredentialsGrant(wrong), (error) => error.error === 'invalid_client' || error.status === 401)

// A browser with a person before it: shows the page, types name and password, and is sent back.
async function browser(url) {
  const shown = await fetch(url, { redirect: 'manual' })
  assert.equal(shown.status, 200)
  const cookie = shown.headers.get('set-cookie').split(';')[0]
  const page = await shown.text()
  const hidden = (name) =>
    page.split(`name="${name}" value="`)[1].split('"')[0].replaceAll('&amp;', '&').replaceAll('&quot;', '"')
  const body = new URLSearchParams({
    request: hidden('request'),
    proof: hidden('proof'),
    username: process.env.NAME,
    password: process.env.PASSWORD,
  })
  const sent = await fetch(`${ISSUER}/oauth/authorize`, { method: 'POST', body, headers: { cookie }, redirect: 'manual' })
  assert.equal(sent.status, 303)
  return new URL(sent.headers.get('location'))
}

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const redirect_uri = process.env.REDIRECT_URI
const to = client.buildAuthorizationUrl(own, {
  redirect_uri,
  scope: 'READ',
  state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})
const back = await browser(to)
const logged = await client.authorizationCodeGrant(own, back, { pkceCodeVerifier: verifier, expectedState: state })
assert.equal((await client.tokenIntrospection(service, logged.access_token)).username, process.env.NAME)
const renewed = await client.refreshTokenGrant(own, logged.refresh_token)
assert.notEqual(renewed.refresh_token, logged.refresh_token)
assert.equal((await client.tokenIntrospection(service, renewed.access_token)).active, true)
