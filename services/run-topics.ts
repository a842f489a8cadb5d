import type { Logger } from '#shared/runtime/logger.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import type { TopicsRequest } from './cli/cli.ts';
import { applyKafkaTopics } from './composition-beside.ts';

export interface TopicsOptions {
  readonly settings: Settings;
  readonly request: TopicsRequest;
  readonly logger: Logger;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

const EXIT_REFUSED = 1;
const EXIT_CONFIG = 78;

type Step = Awaited<ReturnType<typeof applyKafkaTopics>>[number];

/** Resolves to the exit code: 0 only when every topic is as it must be. @throws when Kafka is away */
export async function runTopics({ settings, request: { json, ...wishes }, logger, print, note }: TopicsOptions): Promise<number> {
  if (settings.kafkaUrl === undefined) {
    note('Topics are in Kafka: set TEKAI_KAFKA_URL, as for the engine.\n');
    return EXIT_CONFIG;
  }
  const steps = await applyKafkaTopics({ settings, logger }, wishes);
  print(json ? `${JSON.stringify({ topics: steps }, null, 2)}\n` : steps.map((step) => `${inWords(step)}\n`).join(''));
  return steps.some(({ kind }) => kind === 'refuse') ? EXIT_REFUSED : 0;
}

function inWords(step: Step): string {
  switch (step.kind) {
    case 'make': return `${step.topic}: made, with ${step.partitions} ${step.partitions === 1 ? 'partition' : 'partitions'} and ${step.replication} ${step.replication === 1 ? 'copy' : 'copies'}`;
    case 'change': return `${step.topic}: changed ${step.changes.map(({ name, from, to }) => `${name} from ${from} to ${to}`).join(', ')}`;
    case 'keep': return `${step.topic}: is as it must be`;
    case 'refuse': return `${step.topic}: NOT CHANGED. ${step.why}`;
    default: return step satisfies never;
  }
}
