import { isObservable, type Observable } from "rxjs";
import type { CallContext } from "./call-context.js";

/**
 * The one message that a unary handler answers with, through whatever Nest interceptors stand
 * around it. None or several are a mistake in the code, and INTERNAL at once.
 */
export async function onlyMessage(result: unknown): Promise<object> {
  const value: unknown = await result;
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

/** The stream that a streaming handler answers with. */
export interface Answer {
  readonly messages: AsyncIterable<object>;
  /** To be told when the stream was read to its end: Nest's pipeline ends, and may reject. */
  complete(): Promise<void>;
  /** To be told what the stream failed with; rejects with what the application's filters made of it. */
  fail(error: unknown): Promise<never>;
  /** To be told when nobody reads on. */
  abandon(): void;
}

/** Takes a streaming handler's answer out of Nest's pipeline, which stays open until it was read. */
export async function streamAnswer(result: unknown, context: CallContext): Promise<Answer> {
  const value: unknown = await result;
  if (!isObservable(value)) return plainAnswer(asStream(value));
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
  return {
    messages: await first.promise,
    complete: () => {
      context.openStream?.complete();
      return end.promise;
    },
    fail: async (error) => {
      context.openStream?.error(error);
      await end.promise;
      throw error;
    },
    abandon: () => subscription.unsubscribe(),
  };
}

/** A stream that no pipeline waits for. */
export function plainAnswer(messages: AsyncIterable<object>): Answer {
  return {
    messages,
    complete: () => Promise.resolve(),
    fail: (error) => Promise.reject(error),
    abandon: () => {},
  };
}

function asStream(value: unknown): AsyncIterable<object> {
  if (value !== null && typeof value === "object" && Symbol.asyncIterator in value)
    return value as AsyncIterable<object>;
  throw new Error("A handler of a streaming method returned no async iterable");
}
