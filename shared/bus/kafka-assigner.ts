import { AssignerProtocol, type PartitionAssigner } from 'kafkajs';
import type { KafkaTopics } from './kafka-records.ts';

export interface MemberShare { readonly id: string; readonly owned: readonly number[] }

/**
 * Shares partitions out evenly, and leaves each where it is as far as that goes: a partition that moves takes its work in hand away
 * from whoever does it, which may be minutes of it. Kafka's usual ways would move nearly all of them whenever a process comes or goes.
 */
export function assignPartitions(partitions: number, members: readonly MemberShare[]): ReadonlyMap<string, readonly number[]> {
  // Who has most may have one more than the others, where it does not come out even.
  const inOrder = members.toSorted((a, b) => b.owned.length - a.owned.length || (a.id < b.id ? -1 : 1));
  const least = Math.floor(partitions / members.length);
  const more = partitions % members.length;
  const quotaOf = (index: number) => least + (index < more ? 1 : 0);
  const free = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  const assigned = inOrder.map(({ owned }, index) => owned.filter((partition) => free.has(partition)).slice(0, quotaOf(index)).filter((partition) => free.delete(partition)));
  const rest = free.values();
  for (const [index, own] of assigned.entries()) while (own.length < quotaOf(index)) own.push(rest.next().value!);
  return new Map(inOrder.map(({ id }, index) => [id, assigned[index]!.toSorted((a, b) => a - b)]));
}

/** Each member says what it has; and each is given the relay's checkpoints, whose one partition they all read. */
export function stickyAssigner({ facts, relay }: KafkaTopics, owned: () => readonly number[]): PartitionAssigner {
  const version = 1;
  return ({ cluster }) => ({
    name: 'tekai-sticky', version,
    protocol: ({ topics }) => ({ name: 'tekai-sticky', metadata: AssignerProtocol.MemberMetadata.encode({ version, topics, userData: Buffer.from(JSON.stringify(owned())) }) }),
    assign: async ({ members }) => {
      const shares = assignPartitions(cluster.findTopicPartitionMetadata(facts).length, members.map(({ memberId, memberMetadata }) => ({ id: memberId, owned: ownedBy(memberMetadata) })));
      return members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({ version, assignment: { [facts]: [...(shares.get(memberId) ?? [])], [relay]: [0] }, userData: Buffer.alloc(0) }),
      }));
    },
  });
}

function ownedBy(metadata: Buffer): number[] {
  const text = AssignerProtocol.MemberMetadata.decode(metadata)?.userData.toString() ?? '';
  return text === '' ? [] : (JSON.parse(text) as number[]);
}
