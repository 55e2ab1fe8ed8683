# The web process: admin pages, POS API and the outbox. Nothing is trained here, so there is no TensorFlow.
FROM python:3.13-slim

WORKDIR /app
COPY requirements/docker.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/docker.txt
COPY pyproject.toml README.md LICENSE ./
COPY embedder embedder
COPY catalog catalog
COPY web web
COPY migrations migrations
RUN pip install --no-cache-dir --no-deps . \
 && useradd --system --create-home catalog \
 && install -d -o catalog /data
USER catalog
ENV CATALOG_DATA=/data
VOLUME /data
EXPOSE 8000
CMD ["catalog", "serve", "--host", "0.0.0.0", "--port", "8000"]
