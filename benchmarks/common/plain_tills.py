"""The plain way to serve tills, as a program: `plain_tills.py VECTORS.npy THREADS` serves on a free port.

Flask on waitress; Pillow decodes the whole photo and reduces it; keras.predict embeds it (MobileNetV3Large and a Dense
layer of random weights, which take as long as trained ones); scikit-learn's NearestNeighbors scans the vectors, float32
[n, 256].
"""

from __future__ import annotations

import io
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import waitress
from flask import Flask, jsonify, request
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from tensorflow import keras

#: The network's input, in pixels.
SIZE = 224


def create_app(vectors: np.ndarray) -> Flask:
    backbone = keras.applications.MobileNetV3Large(
        input_shape=(SIZE, SIZE, 3), include_top=False, pooling="avg", weights=None
    )
    network = keras.Sequential([backbone, keras.layers.Dense(vectors.shape[1])])
    network.predict(np.zeros((1, SIZE, SIZE, 3), np.float32), verbose=0)  # the first one takes long
    neighbors = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors)
    app = Flask(__name__)

    @app.post("/api/v1/recognize")
    def recognize():
        picture = Image.open(io.BytesIO(request.get_data())).convert("RGB").resize((SIZE, SIZE))
        vector = network.predict(np.asarray(picture, np.float32)[None], verbose=0)
        distances, places = neighbors.kneighbors(vector)
        matches = zip(places[0].tolist(), distances[0].tolist(), strict=True)
        return jsonify({"matches": [{"sku": place, "score": 1 - distance} for place, distance in matches]})

    return app


if __name__ == "__main__":
    server = waitress.create_server(
        create_app(np.load(sys.argv[1])), host="127.0.0.1", port=0, threads=int(sys.argv[2])
    )
    print(f"Serving on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
