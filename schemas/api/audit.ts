import { z } from 'zod';
import { apiPosition, apiTime } from './receipt.ts';

/** What was done or refused, and by whom: a fact that a person made, or an entry of what no fact tells. */
export const auditEntry = z.object({
  /** Of a fact: its id. */
  id: z.string(),
  at: apiTime,
  /** Where the same was counted within one minute: when it last happened, and how often. */
  lastAt: apiTime,
  count: z.int().min(1),
  actor: z.object({
    kind: z.enum(['user', 'token', 'gitlab', 'scheduler', 'worker', 'engine', 'nobody']),
    id: z.string().nullable(),
    /** Null of who was erased, and of who is no user. */
    name: z.string().nullable(),
  }),
  /** The type of a fact (`source.changed`), or what no fact tells (`signed-in`, `request-refused`). */
  act: z.string(),
  /** Whom or what it is about, by id. */
  target: z.string().nullable(),
  /** Of what was refused or read: at which address, and why. */
  route: z.string().nullable(),
  code: z.string().nullable(),
  /** From where; of IPv6 its /56. */
  address: z.string().nullable(),
  /** Of a fact: where it stands. */
  position: apiPosition.nullable(),
});
export type AuditEntry = z.infer<typeof auditEntry>;

/** `GET /v1/audit` */
export const auditPage = z.object({ entries: z.array(auditEntry), next: z.string().nullable() });
export type AuditPage = z.infer<typeof auditPage>;
