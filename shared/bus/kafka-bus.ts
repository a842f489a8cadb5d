import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Bus } from './bus.ts';
import { busOverStore } from './bus-over-store.ts';
import type { GroupRun } from './consumer-group.ts';
import { consumeGroup, shareName, type KafkaBusDeps } from './kafka-group.ts';
import { KAFKA_TIMING } from './kafka-membership.ts';
import { countPartitions } from './kafka-offsets.ts';
import { backoffMs } from './patience.ts';

/**
 * The bus of several machines: Kafka brings the facts, and shares the keys of a group out among its processes. What a group must
 * remember is where the embedded bus has it too: checkpoints, parked keys and leases.
 */
export function createKafkaBus(given: Omit<KafkaBusDeps, 'timing'> & Partial<Pick<KafkaBusDeps, 'timing'>>): Bus {
  const deps = { timing: KAFKA_TIMING, ...given };
  const running = new Set<GroupRun>();
  let partitions: number | undefined;
  // Never changed in place, so it is asked for once.
  const count = async () => partitions ??= await countPartitions(deps.client);

  return {
    ...busOverStore(deps, running),

    async consume(consumer, signal) {
      for (let failures = 1; !signal.aborted; failures += 1) {
        const known = await count().catch((error: unknown) => {
          if (failures === 1) deps.logger.warn({ group: consumer.group, error }, 'the bus waits for Kafka');
        });
        if (known !== undefined) return consumeGroup(deps, consumer, { partitions: known, running }, signal);
        await deps.sleep(backoffMs(failures), signal);
      }
    },

    async workedUpTo(group) {
      const of = await count();
      const names = Array.from({ length: of }, (_, partition) => shareName(group, partition, of));
      const found = await deps.store.loadCheckpoints([group, ...names]);
      // Where one process did all of it, before there was Kafka.
      const before = found.get(group);
      if (found.size === 0) return undefined;
      return names.map((name) => found.get(name) ?? before ?? BEGINNING).reduce((lowest: Position, one) => (one < lowest ? one : lowest));
    },
  };
}
