// The service's public interface, as the pages see it.
//
//   const api = new Api();
//   await api.get("/v1/jobs", { signal })           the parsed JSON, or throws an ApiError
//   await api.post("/v1/jobs", {...}, { signal, headers })   likewise put and delete
//
// Answers with an ETag are revalidated by the browser's own cache. A 401 asks for a key once, for
// all requests that wait for it, and sends them again. Everything else is thrown.
//
// Event: "trouble" when there is no answer, or one that blames the service. Those who poll wait for
// as long as `pause` says and try again.

const KEY = "neuron-api-key";
const PATIENCE_MS = 15_000;

/** An answer that is an error, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor({ status, title, detail, errors = [], retryAfter = null }) {
    super(detail || title);
    this.name = "ApiError";
    this.status = status;
    this.title = title;
    this.detail = detail || title;
    /** [{detail, pointer}]: what is wrong with each field. */
    this.errors = errors;
    /** Seconds, or null. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api extends EventTarget {
  #asking = null;

  /** `askForKey(problem)` resolves to a key, or null when the user gives none. */
  constructor({ askForKey = async () => null } = {}) {
    super();
    this.askForKey = askForKey;
  }

  get(path, options = {}) {
    return this.#json(path, { ...options, method: "GET" });
  }

  post(path, body, options = {}) {
    return this.#json(path, { ...options, method: "POST", body });
  }

  put(path, body, options = {}) {
    return this.#json(path, { ...options, method: "PUT", body });
  }

  delete(path, options = {}) {
    return this.#json(path, { ...options, method: "DELETE" });
  }

  /** The answer itself. A `stream` may last; everything else is given up after a while. */
  async open(path, { method = "GET", body, headers = {}, signal, stream = false } = {}) {
    const sent = { Accept: "application/json", ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const text = body === undefined ? undefined : JSON.stringify(body);
    for (;;) {
      const key = sessionStorage.getItem(KEY);
      const signals = [signal, stream ? null : AbortSignal.timeout(PATIENCE_MS)].filter(Boolean);
      const response = await this.#send(path, {
        method, body: text, signal: AbortSignal.any(signals),
        headers: key ? { ...sent, Authorization: `Bearer ${key}` } : sent,
      });
      if (response.ok || response.status === 304) return response;
      const error = await problem(response);
      if (error.status === 401 && (await this.#newKey(key, error))) continue;
      throw this.#told(error);
    }
  }

  async #json(path, options) {
    const response = await this.open(path, options);
    if (response.status === 204) return null;
    try {
      return await response.json();
    } catch (error) {
      throw this.#noAnswer(error);
    }
  }

  async #send(path, options) {
    try {
      return await fetch(path, { ...options, redirect: "error" });
    } catch (error) {
      throw this.#noAnswer(error);
    }
  }

  #noAnswer(cause) {
    if (cause.name === "AbortError") return cause;
    return this.#told(new ApiError({ status: 0, title: "The service does not answer." }));
  }

  #told(error) {
    if (error.status === 0 || error.status >= 500) this.dispatchEvent(new Event("trouble"));
    return error;
  }

  /** Whether there is another key now than the one that was refused. */
  async #newKey(refused, error) {
    if (sessionStorage.getItem(KEY) !== refused) return true;
    this.#asking ??= this.askForKey(error).finally(() => (this.#asking = null));
    const key = await this.#asking;
    if (key) sessionStorage.setItem(KEY, key);
    return Boolean(key);
  }
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  const seconds = Number.parseFloat(response.headers.get("Retry-After"));
  return new ApiError({
    status: response.status,
    title: body.title ?? response.statusText,
    detail: body.detail,
    errors: body.errors,
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  });
}

/** Seconds to wait after so many failures in a row; what the service asked for counts more. */
export function pause(failures, error) {
  const backoff = Math.min(15, 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
  return Math.max(backoff, error?.retryAfter ?? 0);
}

/** Resolves after so many seconds; rejects as soon as the signal aborts. */
export function wait(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const over = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", over);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", over, { once: true });
  });
}
