"""A FastAPI service as the guide's "FastAPI Integration": a dependency asks the gateway whose session the cookie holds, and a
route calls the provider with the token that the gateway keeps fresh."""

import os
from typing import Annotated

import httpx
from fastapi import Cookie, Depends, FastAPI, HTTPException

GATEWAY = os.environ["AUTH_SERVICE_URL"]
PROVIDER = os.environ["HH_API_URL"]
app = FastAPI()


async def current_user(session_id: Annotated[str | None, Cookie()] = None) -> dict:
    if not session_id:
        raise HTTPException(401, "Not authenticated")
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"{GATEWAY}/users/me", params={"session_id": session_id})
    if reply.status_code != 200:
        raise HTTPException(401, "Invalid session")
    return reply.json()


User = Annotated[dict, Depends(current_user)]


@app.get("/protected")
async def protected(user: User):
    return {"message": f"Hello, {user['full_name']}!"}


@app.get("/hh-resumes")
async def resumes(user: User, session_id: Annotated[str, Cookie()]):
    async with httpx.AsyncClient() as client:
        reply = await client.post(f"{GATEWAY}/auth/token", json={"session_id": session_id})
        if reply.status_code != 200:
            raise HTTPException(401, "Failed to get token")
        bearer = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        reply = await client.get(f"{PROVIDER}/resumes/mine", headers=bearer)
    if reply.status_code != 200:
        raise HTTPException(502, "HH API error")
    return {"of": user["hh_user_id"], **reply.json()}


@app.get("/tasks")
async def tasks(user: User, session_id: Annotated[str, Cookie()]):
    async with httpx.AsyncClient(cookies={"hh_session_id": session_id}) as client:
        reply = await client.get(f"{GATEWAY}/api/tasks")
    reply.raise_for_status()
    return reply.json()
