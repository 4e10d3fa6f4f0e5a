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
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/tmp/numba \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
USER neuron
EXPOSE 8000
CMD ["python", "-m", "api", "--host", "0.0.0.0"]
