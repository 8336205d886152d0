import { isObservable, type Observable, type Unsubscribable } from "rxjs";

/**
 * The one message that a unary handler answers with, through whatever Nest interceptors stand
 * around it. None or several are a mistake in the code, and INTERNAL at once.
 */
export async function onlyMessage(result: unknown): Promise<object> {
  const value: unknown = isObservable(result) ? await onlyValue(result) : await result;
  const message: unknown = isObservable(value) ? await onlyValue(value) : value;
  if (message === null || typeof message !== "object")
    throw new Error(`A handler returned ${String(message)} and no message`);
  return message;
}

function onlyValue(source: Observable<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const values: unknown[] = [];
    source.subscribe({
      next: (value) => values.push(value),
      error: reject,
      complete: () =>
        values.length === 1
          ? resolve(values[0])
          : reject(new Error(`A handler answered with ${values.length} messages`)),
    });
  });
}

/**
 * The stream that a streaming handler answers with. Its end is the end of Nest's pipeline, with the
 * error as the application's filters left it.
 */
export async function messageStream(result: unknown): Promise<AsyncIterable<object>> {
  const value: unknown = await result;
  if (!isObservable(value)) return asStream(value);
  const first = Promise.withResolvers<AsyncIterable<object>>();
  const end = Promise.withResolvers<void>();
  end.promise.catch(() => {});
  const subscription = value.subscribe({
    next: (stream) => first.resolve(asStream(stream)),
    error: (error) => {
      first.reject(error);
      end.reject(error);
    },
    complete: () => {
      first.reject(new Error("A handler returned no stream"));
      end.resolve();
    },
  });
  return throughPipeline(await first.promise, end.promise, subscription);
}

async function* throughPipeline(
  stream: AsyncIterable<object>,
  end: Promise<void>,
  pipeline: Unsubscribable,
) {
  try {
    yield* stream;
    await end;
  } finally {
    pipeline.unsubscribe();
  }
}

function asStream(value: unknown): AsyncIterable<object> {
  if (value !== null && typeof value === "object" && Symbol.asyncIterator in value)
    return value as AsyncIterable<object>;
  throw new Error("A handler of a streaming method returned no async iterable");
}
