"""A FastAPI service as the manual's "Dependency Injection": the published library asks the gateway who calls and what that
person may."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from inkpass_sdk import InkPassClient, InkPassConfig
from inkpass_sdk.permissions import PermissionChecker

client = InkPassClient(InkPassConfig(base_url=os.environ["INKPASS_URL"], api_key=os.environ["INKPASS_KEY"]))
permissions = PermissionChecker(client)
app = FastAPI()


async def current_user(request: Request):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = await client.validate_token(token) if scheme == "Bearer" and token else None
    if user is None:
        raise HTTPException(401, "Invalid or expired token")
    return user


def department(request: Request) -> dict:
    return {"department": request.path_params["department"]}


@app.get("/profile")
async def profile(user: Annotated[object, Depends(current_user)]):
    return {"id": user.id, "email": user.email, "organization_id": user.organization_id}


@app.post("/workflows", dependencies=[Depends(permissions.require("workflows", "create"))])
async def create():
    return {"made": True}


@app.get("/either", dependencies=[Depends(permissions.require_any([("admin", "access"), ("workflows", "create")]))])
async def either():
    return {"seen": True}


@app.get("/both", dependencies=[Depends(permissions.require_all([("admin", "access"), ("workflows", "create")]))])
async def both():
    return {"seen": True}


@app.get("/of/{department}", dependencies=[Depends(permissions.require_with_context("docs", "read", department))])
async def of(department: str):
    return {"department": department}
