"""A Django site as the guide's "Django Integration": a middleware asks the gateway who the visitor is, the session id lies in a
cookie of the site's own, and the exchange code waits in the visitor's Django session between two views."""

import os

import requests
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.shortcuts import redirect
from django.urls import path

settings.configure(
    AUTH_SERVICE_URL=os.environ["AUTH_SERVICE_URL"],
    SECRET_KEY="of a test, and of no other site in the world at all",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        f"{__name__}.GatewayPerson",
    ],
    ROOT_URLCONF=__name__,
)
COOKIE = "hh_session_id"


def gateway(method, path, **more):
    return requests.request(method, settings.AUTH_SERVICE_URL + path, timeout=5, **more)


class GatewayPerson:
    """Everything that is no success is a stranger."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.hh_user = None
        if session_id := request.COOKIES.get(COOKIE):
            try:
                reply = gateway("GET", "/users/me", params={"session_id": session_id})
                if reply.status_code == 200:
                    request.hh_user = reply.json()
            except requests.RequestException:
                pass
        return self.get_response(request)


def home(request):
    return JsonResponse({"user": request.hh_user})


def login(request):
    return redirect(f"{settings.AUTH_SERVICE_URL}/auth/login")


def callback(request):
    code = request.GET.get("exchange_code")
    if not code:
        return JsonResponse({"error": "No exchange code"}, status=400)
    request.session["exchange_code"] = code
    return redirect("exchange")


def exchange(request):
    code = request.session.pop("exchange_code", None)
    if not code:
        return JsonResponse({"error": "No exchange code in session"}, status=400)
    reply = gateway("POST", "/auth/exchange", json={"exchange_code": code})
    if reply.status_code != 200:
        return JsonResponse({"error": "Exchange failed"}, status=400)
    response = redirect("home")
    response.set_cookie(COOKIE, reply.json()["session_id"], httponly=True, secure=True)
    return response


def tasks(request):
    """A service behind the gateway, called with the visitor's session."""
    reply = gateway("GET", "/api/tasks", cookies={COOKIE: request.COOKIES.get(COOKIE, "")})
    return JsonResponse(reply.json(), status=reply.status_code)


def logout(request):
    gateway("POST", "/auth/logout", json={"session_id": request.COOKIES.get(COOKIE)})
    response = redirect("home")
    response.delete_cookie(COOKIE)
    return response


urlpatterns = [
    path("", home, name="home"),
    path("login", login),
    path("callback", callback),
    path("exchange", exchange, name="exchange"),
    path("tasks", tasks),
    path("logout", logout),
]
app = get_wsgi_application()
