"""What the service's predictions are compared with: a view that parses JSON and answers."""

import orjson
from flask import Flask, Response, request

ANSWER = orjson.dumps({"outputs": [3.700334223241915], "error_bounds": [0.000334223241916499]})


def create_app() -> Flask:
    """Build the application, with nothing in it but `POST /predict`."""
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> Response:
        orjson.loads(request.get_data())
        return Response(ANSWER, content_type="application/json")

    return app
