"""A Flask site as the guide's "Flask Integration": the exchange code comes to a view of its own, the session id lies in Flask's
signed session."""

import os

import requests
from flask import Flask, jsonify, redirect, request, session

GATEWAY = os.environ["AUTH_SERVICE_URL"]
app = Flask(__name__)
app.secret_key = "of a test"


@app.get("/")
def home():
    return jsonify(logged_in="session_id" in session)


@app.get("/login")
def login():
    return redirect(f"{GATEWAY}/auth/login")


@app.get("/callback")
def callback():
    code = request.args.get("exchange_code")
    if not code:
        return jsonify(error="No exchange code"), 400
    reply = requests.post(f"{GATEWAY}/auth/exchange", json={"exchange_code": code})
    if reply.status_code != 200:
        return jsonify(error="Exchange failed"), 400
    session["session_id"] = reply.json()["session_id"]
    return redirect("/")


@app.get("/me")
def me():
    if "session_id" not in session:
        return jsonify(error="Not authenticated"), 401
    reply = requests.get(f"{GATEWAY}/users/me", params={"session_id": session["session_id"]})
    if reply.status_code != 200:
        return jsonify(error="Failed to get user"), reply.status_code
    return jsonify(reply.json())


@app.get("/tasks")
def tasks():
    reply = requests.get(f"{GATEWAY}/api/tasks", cookies={"hh_session_id": session.get("session_id", "")})
    return jsonify(reply.json()), reply.status_code


@app.get("/logout")
def logout():
    if session_id := session.pop("session_id", None):
        requests.post(f"{GATEWAY}/auth/logout", json={"session_id": session_id})
    return redirect("/")
