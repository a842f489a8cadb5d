import { randomUUID } from 'node:crypto';
import type { FactId } from '#schemas/brand.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { FACTS, parseFact, type Fact, type FactType, type NewFact } from '#schemas/events/facts.ts';

export interface FactParts<Type extends FactType> {
  readonly type: Type;
  readonly key: string;
  readonly data: NewFact<Type>['data'];
  readonly actor: Actor;
  readonly correlationId: string;
  readonly causationId: FactId | null;
  readonly time: Date;
  /** Only for facts that must have the same id each time they are made. */
  readonly id?: FactId;
}

const versions = new Map<string, number>(FACTS.map((definition) => [definition.type, definition.schemaVersion]));

/**
 * A fact with an id of its own, checked against its schema: nothing malformed reaches the log.
 * @throws UnreadableFact; that is a bug of the caller.
 */
export function newFact<Type extends FactType>(parts: FactParts<Type>): NewFact<Type> {
  const { time, ...rest } = parts;
  return parseFact({ id: randomUUID(), ...rest, schemaVersion: versions.get(parts.type) ?? 1, time: time.toISOString() }) as unknown as NewFact<Type>;
}

/** A fact that follows from another: same key, same correlation. */
export function factAfter<Type extends FactType>(cause: Fact, parts: Pick<FactParts<Type>, 'type' | 'data' | 'time'> & { readonly worker: string }): NewFact<Type> {
  const { worker, ...rest } = parts;
  return newFact<Type>({ ...rest, key: cause.key, actor: { kind: 'worker', id: worker }, correlationId: cause.correlationId, causationId: cause.id });
}
