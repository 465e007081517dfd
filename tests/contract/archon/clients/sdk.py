"""As the guide's "Python SDK": aiohttp, snake_case, `success` decides, every reply is JSON, dataclasses of whole replies."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, List, Optional
from urllib.parse import urljoin

import aiohttp

BASE, EMAIL, PASSWORD = sys.argv[1:4]


@dataclass
class UserProfile:
    id: str
    email: str
    name: str
    roles: List[str]
    is_active: bool
    email_verified: bool
    created_at: str
    last_login: Optional[str]


class ArchonAPIError(Exception):
    def __init__(self, message: str, code: str, status: int):
        super().__init__(message)
        self.code, self.status = code, status


class ArchonAuthClient:
    def __init__(self, base_url: str):
        self.base_url, self.access_token, self.refresh_token, self.requests = base_url, None, None, 0

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=10),
            headers={"User-Agent": "ArchonAuthClient-Python/2.0.0", "Content-Type": "application/json"},
        )
        return self

    async def __aexit__(self, *_: Any):
        await self.session.close()

    async def request(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        # Anything that is not JSON is tried four times in all.
        for attempt in range(4):
            self.requests += 1
            try:
                # The path of the base is lost here: that is how the SDK does it.
                async with self.session.request(method, urljoin(self.base_url, path), headers=headers, **more) as reply:
                    body = await reply.json()
                    if not body.get("success", False):
                        error = body.get("error", {"message": "Request failed"})
                        raise ArchonAPIError(error["message"], error["code"], reply.status)
                    return body["data"]
            except aiohttp.ClientError:
                if attempt == 3:
                    raise
                await asyncio.sleep(2**attempt)

    async def once(self, method: str, path: str, **more: Any) -> Any:
        before = self.requests
        try:
            return await self.request(method, path, **more)
        finally:
            assert self.requests - before == 1, f"{method} {path}: {self.requests - before} requests"

    async def login(self) -> Any:
        data = await self.once(
            "POST", "/auth/login",
            json={"email": EMAIL, "password": PASSWORD, "remember_me": False, "device_info": {"device_id": "d"}},
        )
        self.access_token, self.refresh_token = data["access_token"], data["refresh_token"]
        return data


async def fails(client: ArchonAuthClient, status: int, code: str, *arguments: Any, **more: Any) -> None:
    try:
        await client.once(*arguments, **more)
    except ArchonAPIError as error:
        assert (error.status, error.code) == (status, code), f"{error.status} {error.code}"
        return
    raise AssertionError(f"no failure with {status}")


async def main() -> None:
    async with ArchonAuthClient(BASE + "/v2") as client:
        login = await client.login()
        assert login["expires_in"] == 3600 and "accessToken" not in login
        UserProfile(**login["user"])
        UserProfile(**await client.once("GET", "/users/me"))
        # Any further key would be a TypeError here (trap 2).
        profile = UserProfile(**await client.once("PUT", "/users/me", json={"name": "New Name"}))
        assert profile.name == "New Name"
        sessions = await client.once("GET", "/users/me/sessions")
        assert any(one["session_id"] == login["session_id"] and one["device_info"]["device_id"] == "d" for one in sessions)
        agent = await client.once(
            "POST", "/auth/agents/authenticate",
            json={
                "agent_type": "code_implementer",
                "capabilities_requested": ["file:read", "file:write", "npm:install"],
                "task_context": {"task_id": "t"},
            },
        )
        assert agent["capabilities_granted"] == ["file:read", "file:write"]
        assert agent["capabilities_denied"] == ["npm:install"]
        assert agent["expires_in"] == 3600 and agent["agent_token"]
        prefixes = [path.replace("**", "") for path in agent["restrictions"]["file_paths"]]
        assert any("src/main.py".startswith(prefix) for prefix in prefixes)
        refreshed = await client.once("POST", "/auth/refresh", json={"refresh_token": client.refresh_token})
        client.access_token = refreshed["access_token"]
        await fails(client, 400, "VALIDATION_ERROR", "PUT", "/users/me/password",
                    json={"current_password": "x", "new_password": "y"})
        await fails(client, 404, "SESSION_NOT_FOUND", "DELETE", "/users/me/sessions/none")
        await fails(client, 404, "NOT_FOUND", "GET", "/nowhere")
        await fails(client, 405, "METHOD_NOT_ALLOWED", "DELETE", "/auth/login")
        # The type is declared and the body is empty (trap 9).
        await client.once("POST", "/auth/logout")
        await fails(client, 401, "AUTH_TOKEN_INVALID", "GET", "/users/me")
        await fails(client, 401, "AUTH_TOKEN_INVALID", "POST", "/auth/refresh",
                    json={"refresh_token": client.refresh_token})
        client.access_token = None
        await fails(client, 401, "AUTH_INVALID_CREDENTIALS", "POST", "/auth/login",
                    json={"email": EMAIL, "password": "wrong", "remember_me": False})


asyncio.run(main())
print("ok")
