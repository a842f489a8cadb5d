import { z } from 'zod';

/** `application/problem+json` (RFC 9457). `code` is for programs and never changes its meaning; `detail` is for people. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string(),
  /** The request's id, as the engine's log names it. */
  instance: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});
export type ProblemAnswer = z.infer<typeof problem>;
