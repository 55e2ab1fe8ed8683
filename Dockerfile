# All services of ours: the server (admin pages, POS API, outbox), `catalog worker` and `catalog init`. Nothing is trained
# here, so there is no TensorFlow. Every library comes as a wheel with the libraries it needs: no package of Debian is
# installed.
FROM python:3.13.14-slim-trixie AS build
WORKDIR /build
COPY requirements/docker.txt requirements/build.txt requirements/
# A folder that has no pip, and is all that the image takes over.
RUN python -m venv --without-pip /opt/catalog \
 && pip --python /opt/catalog/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
      -r requirements/docker.txt \
 && pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY embedder embedder
COPY catalog catalog
COPY web web
COPY migrations migrations
RUN pip wheel --no-cache-dir --no-build-isolation --no-index --no-deps --wheel-dir dist . \
 && pip --python /opt/catalog/bin/python install --no-cache-dir --no-index --no-deps dist/*.whl

FROM python:3.13.14-slim-trixie
# The number that the user had in earlier images, to whom their volumes belong.
RUN groupadd --system --gid 999 catalog \
 && useradd --system --uid 999 --gid 999 --no-create-home --home-dir /nonexistent catalog \
 && install -d -o catalog -g catalog -m 700 /data
COPY --from=build /opt/catalog /opt/catalog
ENV PATH=/opt/catalog/bin:$PATH CATALOG_DATA=/data PYTHONUNBUFFERED=1
# By its number: Kubernetes does not know whether a name is root.
USER 999:999
WORKDIR /data
VOLUME /data
EXPOSE 8000
CMD ["catalog", "serve", "--host", "0.0.0.0", "--port", "8000"]
