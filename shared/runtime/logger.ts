import { pino, stdTimeFunctions, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stdout. Whatever looks like a secret by its name is left out, wherever it hangs. */
export function createLogger(level: string, bindings: Record<string, unknown> = {}): Logger {
  return pino({
    level,
    base: bindings,
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    serializers: { error: serializeError },
  });
}

const SECRET_NAMES = ['token', 'password', 'secret', 'signingToken', 'authorization', 'caPem', '["x-gitlab-token"]', '["private-token"]'];

/** Name, message and causes. Not the whole object: errors of HTTP clients carry requests, and these carry credentials. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : String(error.cause) }),
  };
}
