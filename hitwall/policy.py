"""What browsers are told to keep to: the headers of every answer, errors among them."""

from flask import Flask, Response

from tracker.settings import Settings

# Nothing runs but our own files, and no text becomes markup or a script (static/ask_chart.mjs has the one
# exception). https://www.w3.org/TR/CSP3/ and https://www.w3.org/TR/trusted-types/
CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types uplot; frame-ancestors "
)
FRAMES = {"'none'": "DENY"}  # for browsers without frame-ancestors, which have no word for other origins
POWERS = ("camera", "geolocation", "microphone", "payment", "usb")  # that no page of ours asks for


def protect(app: Flask, settings: Settings) -> None:
    """Put the headers on whatever the application answers."""
    headers = policy(settings)

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers.update(headers)
        return response


def policy(settings: Settings) -> dict[str, str]:
    """Name -> value, as HITWALL_FRAME_ANCESTORS says."""
    return {
        "Content-Security-Policy": CONTENT + settings.frame_ancestors,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{name}=()" for name in POWERS),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": FRAMES.get(settings.frame_ancestors, "SAMEORIGIN"),
    }
