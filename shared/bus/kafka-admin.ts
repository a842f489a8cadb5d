import type { Admin } from 'kafkajs';
import { inTime, kafkaAway, leave, type KafkaClient } from './kafka-client.ts';

/** For what is asked of the cluster, and not of a topic. Leaves also when it failed. @throws Unavailable that says what was being done */
export async function withAdmin<T>({ kafka }: KafkaClient, doing: string, work: (admin: Admin) => Promise<T>, msMax?: number): Promise<T> {
  const admin = kafka.admin();
  try {
    return await inTime(doing, admin.connect().then(() => work(admin)), msMax);
  } catch (error) {
    throw kafkaAway(doing, error);
  } finally {
    await leave(admin);
  }
}
