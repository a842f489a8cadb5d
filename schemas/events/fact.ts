import { z } from 'zod';
import { factId, type FactId, type Position, type StreamName } from '../brand.ts';

/** Who made a fact. Ids only: names and addresses live where they can be erased. */
export const actor = z.object({
  kind: z.enum(['user', 'token', 'gitlab', 'scheduler', 'worker']),
  id: z.string().max(200),
});
export type Actor = z.infer<typeof actor>;

/** What every fact carries beside its own data. Stream, revision and position are given by the log. */
export const envelope = z.object({
  id: factId,
  type: z.string(),
  schemaVersion: z.int().min(1),
  /** Codebase, project, source, user or object id: the order workers keep. */
  key: z.string().min(1).max(200),
  /** When it was made, by our clock. The store's own time is never read. */
  time: z.iso.datetime(),
  actor,
  /** The delivery or command that began it. */
  correlationId: z.string().max(200),
  /** The fact that it follows from; null for what came in through a door. */
  causationId: factId.nullable(),
  traceparent: z.string().max(100).optional(),
});
export type Envelope = z.infer<typeof envelope>;

/** One kind of fact: its name, version, the streams it may stand in, and the shape of its data. */
export interface FactDefinition<Type extends string = string, Data extends z.ZodType = z.ZodType> {
  readonly type: Type;
  readonly schemaVersion: number;
  readonly streamPrefixes: readonly string[];
  readonly data: Data;
}

export function defineFact<Type extends string, Data extends z.ZodType>(definition: FactDefinition<Type, Data>): FactDefinition<Type, Data> {
  return definition;
}

/** A fact of one definition, before the log has given it a place. */
export type FactOf<D> = D extends FactDefinition<infer Type, infer Data>
  ? Omit<Envelope, 'type' | 'id'> & { readonly id: FactId; readonly type: Type; readonly data: z.output<Data> }
  : never;

/** Where the log put a fact. */
export interface Place {
  readonly stream: StreamName;
  readonly revision: number;
  readonly position: Position;
}

/** The command that led to a fact: repeated with the same body it is answered the same, with another it is refused. */
export const command = z.object({
  id: z.string().min(1).max(200),
  /** Keyed digest of the command's body, so that no secret in it can be guessed from the fact. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type CommandMark = z.infer<typeof command>;
