import { FACTS } from '#schemas/events/facts.ts';
import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: FACTS.map((definition) => definition.type), emits: [], reads: ['event-log'] } satisfies Flow;
