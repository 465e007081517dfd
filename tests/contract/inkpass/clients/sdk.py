"""What programs do with the published `inkpass-sdk`, oldest and newest alike."""

import asyncio
import sys
import time

from inkpass_sdk import InkPassClient, InkPassConfig
from inkpass_sdk.exceptions import AuthenticationError, PermissionDeniedError, ValidationError

BASE, SERVICE_KEY = sys.argv[1:3]


async def main():
    email = f"sdk-{time.time_ns()}@example.com"
    config = InkPassConfig(base_url=BASE + "/", api_key=SERVICE_KEY)
    async with InkPassClient(config) as client:
        made = await client.register(email, "secure_password", "My Company", "Ada", "Lovelace")
        # The oldest one gives the user, the newest one what the reply says.
        organization = made.organization_id
        tokens = await client.login(email, "secure_password")
        assert isinstance(tokens.expires_in, int) and tokens.refresh_token
        token = tokens.access_token
        user = await client.validate_token(token)
        assert user.email == email and user.organization_id == organization, user
        assert user.status == "active" and user.two_fa_enabled is False
        assert await client.validate_token("invalid") is None
        assert await client.check_permission(token, "workflows", "create")
        assert await client.check_permission(token, "workflows", "create", {"a": 1})
        assert not await client.check_permission("invalid", "workflows", "create")
        assert await client.list_user_permissions(token) == []
        key = await client.create_api_key(token, "ci", ["workflows:create"])
        assert key.key.startswith("inkpass_") and key.scopes == ["workflows:create"], key
        if hasattr(client, "validate_api_key"):
            facts = await client.validate_api_key(key.key)
            assert facts.organization_id == organization and facts.user_id == user.id, facts
            assert await client.validate_api_key("unknown") is None
        for call, error in [
            (client.login(email, "wrong"), AuthenticationError),
            (client.register(email, "secure_password", "X Y", "Ada", "Lovelace"), ValidationError),
            (client.verify_email(email, "000000"), ValidationError),
        ]:
            try:
                await call
            except error:
                pass
            else:
                raise AssertionError(f"no {error.__name__}")
        await client.resend_verification(email)
    assert PermissionDeniedError is not None
    print("ok")


asyncio.run(main())
