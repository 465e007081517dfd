// openid-client (panva) as a service account: discovery, client_credentials, introspection, exchange, revocation.
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
