import { pino, stdTimeFunctions, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stdout. Whatever looks like a secret by its name is left out, wherever it hangs. `fieldsOf` adds to each line what is so while it is written. */
export function createLogger(level: string, bindings: Record<string, unknown> = {}, fieldsOf?: () => object): Logger {
  return pino({
    level,
    base: bindings,
    ...(fieldsOf === undefined ? {} : { mixin: fieldsOf }),
    timestamp: stdTimeFunctions.isoTime,
    // By our own walk and not by pino's redact: its paths have a fixed depth and one spelling.
    formatters: { log: (said) => shownOf(said, 0) as Record<string, unknown> },
  });
}

const SECRET_NAME = /(?:tokens?|passwords?|secrets?|authorization|cookie|pem|proxyurl)$/i;
/** Nothing that is worth a log line is deeper; also what ends a cycle. */
const DEPTH_MAX = 8;

function shownOf(value: unknown, depth: number): unknown {
  if (value instanceof Error) return shownError(value);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  if (depth >= DEPTH_MAX) return '[too deep]';
  if (Array.isArray(value)) return value.map((one) => shownOf(one, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, SECRET_NAME.test(name) ? '[hidden]' : shownOf(one, depth + 1)]));
}

/** Name, message and causes. Not the whole object: errors of HTTP clients carry requests, and these carry credentials. */
function shownError(error: Error): unknown {
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : String(error.cause) }),
  };
}
