"""The JSON API."""

from flask import Blueprint, Response, jsonify

from tracker.sites import Sites


def api(sites: Sites) -> Blueprint:
    """Everything under `/api/`."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")

    @blueprint.get("/sites")
    def list_sites() -> Response:
        """`{"sites": [name, …]}`, by name."""
        return jsonify(sites=sorted(sites.all()))

    return blueprint
