import express, { type Request, type RequestHandler } from 'express';
import type { z } from 'zod';
import { Problem } from './problem.ts';

/** Commands are small; only archives of patterns and a CA come near it. */
const JSON_BYTES_MAX = 512 * 1_024;

const parseJson = express.json({ limit: JSON_BYTES_MAX, strict: true, type: ['application/json', 'application/*+json'] });

/** A command's body. One that is no JSON is refused, never passed over. */
export const readJson: RequestHandler = (request, response, next) => {
  const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (hasBody && request.is(['application/json', 'application/*+json']) === false) throw new Problem(415, 'not-json', 'Send the body as JSON, with Content-Type: application/json.');
  parseJson(request, response, next);
};

/** The body as the schema wants it. @throws Problem 422 with every field that is wrong. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => ({ pointer: `/${issue.path.join('/')}`, detail: issue.message }));
  throw new Problem(422, 'body-invalid', `The body is not what this command takes: ${errors.map((e) => `${e.pointer}: ${e.detail}`).join('; ')}`, { errors });
}

/** @throws Problem 400 when it is missing: without it a repeated request could not be told from a second one. */
export function idempotencyKeyOf(request: Request): string {
  const key = request.headers['idempotency-key'];
  if (typeof key === 'string' && key.length >= 1 && key.length <= 200) return key;
  throw new Problem(400, 'idempotency-key-missing', 'Send an Idempotency-Key header (1 to 200 characters, for example a UUID): the same key makes the same request safe to repeat.');
}
