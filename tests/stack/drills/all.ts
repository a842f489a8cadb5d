import type { Drill } from '../../drills/drill.ts';
import { eventstoreKilled } from './eventstore-killed.drill.ts';
import { eventstoreStopped } from './eventstore-stopped.drill.ts';
import { eventstoreWrong } from './eventstore-wrong.drill.ts';
import { kafkaRestarted } from './kafka-restarted.drill.ts';
import { postgresRestarted } from './postgres-restarted.drill.ts';
import { rebalanced } from './rebalanced.drill.ts';
import { redisRestarted } from './redis-restarted.drill.ts';
import { s3Wrong } from './s3-wrong.drill.ts';
import { servicesKilled } from './services-killed.drill.ts';
import { twoRelays } from './two-relays.drill.ts';
import { workersStopped } from './workers-stopped.drill.ts';

/** In the order in which `make drills-stack` runs them. */
export const DRILLS: readonly Drill[] = [
  servicesKilled,
  kafkaRestarted, postgresRestarted, redisRestarted,
  s3Wrong,
  workersStopped, rebalanced, twoRelays,
  eventstoreKilled, eventstoreStopped, eventstoreWrong,
];
