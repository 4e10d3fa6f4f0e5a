FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin neuron
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY shared shared
COPY api api
COPY worker worker
RUN python -m compileall -q shared api worker

# The root file system is read-only at run time; Numba keeps its compiled kernel here.
# Granian's jemalloc would give pieces of 8 MiB and more back at once, to fault them in again.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics _RJEM_MALLOC_CONF=oversize_threshold:0
USER neuron
EXPOSE 8000
CMD ["python", "-m", "api", "--host", "0.0.0.0"]
